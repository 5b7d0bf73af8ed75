import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { request } from 'node:http'
import { request as requestSecurely } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { AdminServer, adminSocketName, BadAdminRequestError } from '../../src/ca/admin-server.ts'
import { SecureEndpoint } from '../../src/ca/secure-endpoint.ts'
import { silentLogger, systemClock } from '../../src/runtime.ts'
import { trustDomain } from '../support/certificates.ts'

function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-admin-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

async function ask(socketPath: string, method: string, path: string, body = '', headers: Record<string, string> = {}) {
  const sent = request({ socketPath, method, path, headers })
  sent.end(body)
  const [response] = await once(sent, 'response')
  return { status: response.statusCode, body: JSON.parse(await text(response)) }
}

test('a method is answered by its JSON; what is wrong is the caller’s, and what fails is ours', async t => {
  const folder = makeFolder(t)
  const server = new AdminServer(
    new Map([
      ['POST /echo', async (body: unknown) => ({ body })],
      ['POST /wrong', async () => Promise.reject(new BadAdminRequestError('no such service'))],
      ['POST /broken', async () => Promise.reject(new Error('no space left'))],
    ]),
  )
  await server.listen(folder)
  t.after(() => server.close())
  const socket = join(folder, adminSocketName)
  assert.deepEqual(await ask(socket, 'POST', '/echo', '{"a":1}'), { status: 200, body: { body: { a: 1 } } })
  assert.deepEqual(await ask(socket, 'GET', '/echo'), { status: 404, body: { error: 'no such method' } })
  assert.deepEqual(await ask(socket, 'POST', '/wrong'), { status: 400, body: { error: 'no such service' } })
  assert.deepEqual(await ask(socket, 'POST', '/broken'), { status: 500, body: { error: 'no space left' } })
  assert.equal((await ask(socket, 'POST', '/echo', '{', { 'content-length': '1' })).status, 400)
  assert.equal((await ask(socket, 'POST', '/echo', 'x'.repeat(65_537), { 'content-length': '65537' })).status, 413)
  assert.equal((await ask(socket, 'POST', '/echo', '{}', { 'transfer-encoding': 'chunked' })).status, 413)
})

test('G10: administration is a socket that its owner alone reaches, and nothing of it is on the network', async t => {
  const data = makeFolder(t)
  const options = {
    runtime: { clock: systemClock, logger: silentLogger },
    trustDomain,
    port: 0,
    bundlePort: 0,
    handlers: new Map(),
  }
  const endpoint = await SecureEndpoint.start({ ...options, data })
  const folder = join(data, 'ca')
  try {
    assert.equal(statSync(folder).mode & 0o777, 0o700)
    assert.equal(statSync(join(folder, adminSocketName)).mode & 0o777, 0o600)
    assert.equal((await ask(join(folder, adminSocketName), 'GET', '/status')).status, 200)
    const ca = [...endpoint.authority.bundle.roots]
    const [host, port] = endpoint.bundleAddress.split(':')
    for (const [method, path] of [
      ['POST', '/tokens'],
      ['POST', '/root-rotations'],
      ['POST', '/revocations'],
      ['GET', '/status'],
    ] as const) {
      const sent = requestSecurely({ host, port, method, path, ca, agent: false })
      sent.end()
      const [response] = await once(sent, 'response')
      // The bundle is at every path, and is only read.
      assert.equal(response.statusCode, method === 'GET' ? 200 : 405, path)
      if (method === 'GET') assert.deepEqual(Object.keys(JSON.parse(await text(response)))[0], 'keys')
      else response.resume()
    }
    assert.equal(endpoint.tokens.size, 0)
  } finally {
    await endpoint.close()
  }
  chmodSync(folder, 0o750)
  await assert.rejects(SecureEndpoint.start({ ...options, data }), /has mode 0750: only its owner may have access/)
})
