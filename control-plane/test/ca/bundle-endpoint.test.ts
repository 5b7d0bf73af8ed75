import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:https'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { BundleEndpoint } from '../../src/ca/bundle-endpoint.ts'
import { ServerCertificate } from '../../src/ca/server-certificate.ts'
import { silentLogger } from '../../src/runtime.ts'
import { openAuthority } from '../support/certificates.ts'

async function start(t: TestContext) {
  const { authority, clock } = await openAuthority()
  const spiffeId = 'spiffe://mesh.test/ns/inmesh-system/sa/control-plane'
  const names = { spiffeId, dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] }
  const tls = await ServerCertificate.create({ authority, clock, logger: silentLogger, random: () => 0.5, ...names })
  const endpoint = new BundleEndpoint({ tls, logger: silentLogger, bundle: () => authority.bundle })
  const address = await endpoint.listen('127.0.0.1', 0)
  t.after(async () => {
    tls.close()
    await endpoint.close()
  })
  const ask = async (method: string) => {
    const sent = request(`https://${address}/`, { method, ca: [...authority.bundle.roots], agent: false })
    sent.end()
    const [response] = await once(sent, 'response')
    return { status: response.statusCode, headers: response.headers, body: await text(response) }
  }
  return { endpoint, authority, ask, port: Number(address.split(':').at(-1)) }
}

test('the bundle is served as it is now, to be read only', async t => {
  const { ask, authority } = await start(t)
  const { status, headers, body } = await ask('GET')
  const { keys, spiffe_sequence: sequence, spiffe_refresh_hint: hint } = JSON.parse(body)
  assert.deepEqual([status, headers['content-type'], keys.length, sequence, hint], [200, 'application/json', 1, 1, 300])
  authority.requestRotation()
  await authority.advanceRotation(() => false, 0)
  const after = JSON.parse((await ask('GET')).body)
  assert.deepEqual([after.keys.length, after.spiffe_sequence], [2, 2])
  assert.equal((await ask('HEAD')).body, '')
  assert.deepEqual([(await ask('POST')).status, (await ask('POST')).headers.allow], [405, 'GET, HEAD'])
})

test('who says nothing does not hold up the end', { timeout: 5_000 }, async t => {
  const { endpoint, port, ask } = await start(t)
  const silent = connect(port, '127.0.0.1')
  t.after(() => silent.destroy())
  silent.on('error', () => {})
  await once(silent, 'connect')
  // Accepted by now: connections are taken in their order.
  await ask('GET')
  await endpoint.close()
})
