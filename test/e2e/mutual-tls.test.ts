import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type RequestListener, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import type { Mesh } from '../../src/index.ts'
import { startSecureMesh, trustDomain } from '../support/secure-mesh.ts'
import { until } from '../support/until.ts'

const peerAuthentication = (mode: string) => `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: ${mode} } }
`

async function serve(t: TestContext, mesh: Mesh, app: RequestListener): Promise<number> {
  const server = mesh.createServer(app)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const whoCalls: RequestListener = (request, response) => {
  response.end(/URI=([^;]*)/.exec(String(request.headers['x-forwarded-client-cert']))?.[1] ?? 'nobody')
}

/** The status of a request that comes around the mesh; 0 when there is no answer. */
async function direct(port: number): Promise<number> {
  const sent = send({ port, host: '127.0.0.1', agent: false })
  sent.end()
  return new Promise(resolve => {
    sent.once('error', () => resolve(0))
    sent.once('response', response => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
  })
}

describe('mutual TLS', () => {
  test('is automatic between workloads with an identity, and a stranger is served in plaintext', async t => {
    const { join, plain } = await startSecureMesh(t, '')
    const port = await serve(t, await join('reviews'), whoCalls)
    const page = await join('page')
    await until(async () => (await (await page.fetch('http://reviews/')).text()) === `spiffe://${trustDomain}/ns/default/sa/page`)
    const stranger = await plain('stranger')
    assert.equal(await (await stranger.fetch('http://reviews/')).text(), 'nobody')
    assert.equal(await direct(port), 200)
  })

  test('STRICT: a stranger gets no answer; switched live without a failed call', async t => {
    const { join, write } = await startSecureMesh(t, '')
    const port = await serve(t, await join('reviews'), whoCalls)
    const page = await join('page')
    const ask = async () => (await page.fetch('http://reviews/')).text()
    await until(async () => (await ask()) !== 'nobody')
    assert.equal(await direct(port), 200)
    write(peerAuthentication('STRICT'))
    await until(async () => {
      assert.match(await ask(), /sa\/page$/)
      return (await direct(port)) === 0
    })
    write(peerAuthentication('PERMISSIVE'))
    await until(async () => {
      assert.match(await ask(), /sa\/page$/)
      return (await direct(port)) === 200
    })
  })

  test('DISABLE: plain text for everybody', async t => {
    const { join } = await startSecureMesh(t, peerAuthentication('DISABLE'))
    const port = await serve(t, await join('reviews'), whoCalls)
    const page = await join('page')
    assert.equal(await (await page.fetch('http://reviews/')).text(), 'nobody')
    assert.equal(await direct(port), 200)
  })

  test('who has another identity cannot answer for a service', async t => {
    const { join, controlPlane } = await startSecureMesh(t, '')
    const impostor = await join('impostor', { INMESH_SERVICE: 'reviews' })
    await serve(t, impostor, whoCalls)
    const page = await join('page')
    const { cause } = await page.fetch('http://reviews/').then(
      () => assert.fail('was answered'),
      (error: Error) => error,
    )
    assert.match(String(cause), /host reviews/)
    assert.ok(controlPlane.clients().some(({ identity }) => identity?.endsWith('/sa/impostor')))
  })

  test('A19: who is listed as an endpoint and has another identity is not spoken to', async t => {
    const { join, write } = await startSecureMesh(t, '')
    const seen: string[] = []
    const port = await serve(t, await join('impostor'), (request, response) => {
      seen.push(String(request.url))
      response.end()
    })
    write(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ledger }
spec:
  hosts: [ledger.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { http: ${port} } }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ledger }
spec: { host: ledger.test, trafficPolicy: { tls: { mode: ISTIO_MUTUAL } } }
`)
    const page = await join('page', { INMESH_HOSTS: '*.test' })
    const ask = () =>
      page.fetch('http://ledger.test/').then(
        response => `answered ${response.status}`,
        (error: Error) => String(error.cause),
      )
    await until(async () => /sa\/impostor/.test(await ask()))
    assert.deepEqual(seen, [])
  })
})
