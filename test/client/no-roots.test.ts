import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer as createTcpServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { connect, createServer, setDefaultCACertificates } from 'node:tls'
import { PrivateKeyText } from '../../src/discovery/model/tls.ts'
import { systemClock } from '../../src/runtime.ts'
import { Identities } from '../../src/security/identities.ts'
import { DownstreamSecurity, type SecuredConnection } from '../../src/server/downstream-security.ts'
import { TestCa } from '../support/test-ca.ts'
import { makeTransport } from '../support/tls-model.ts'

/** An authority that Node itself trusts, and a certificate of it. */
async function setUp(t: TestContext) {
  const ca = await TestCa.create(t)
  setDefaultCACertificates([ca.certificate])
  return { ca, identity: await ca.issue('dns:reviews') }
}

test('a cluster whose roots are an empty text trusts nobody, not even whom Node trusts', async t => {
  const { identity } = await setUp(t)
  const server = createServer({ cert: identity.certificate, key: identity.privateKey }, socket => socket.destroy())
  server.on('tlsClientError', () => {})
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const outcome = async (trust: { kind: 'system' } | { kind: 'inline'; ca: string }) => {
    const socket = connect({ port, host: '127.0.0.1', ...makeTransport({ sni: 'reviews', trust }).connectOptions('reviews') })
    t.after(() => socket.destroy())
    return new Promise(resolve =>
      socket.once('secureConnect', () => resolve('trusted')).once('error', ({ message }) => resolve(message)),
    )
  }
  assert.equal(await outcome({ kind: 'system' }), 'trusted')
  assert.match(String(await outcome({ kind: 'inline', ca: '' })), /certificate/)
})

test('a server whose roots are an empty text lets nobody in who shows a certificate', async t => {
  const { identity } = await setUp(t)
  const security = new DownstreamSecurity(systemClock, new Identities())
  const certificate = {
    kind: 'inline',
    certificateChain: identity.certificate,
    privateKey: new PrivateKeyText(identity.privateKey),
  } as const
  const tls = {
    certificate,
    trust: { kind: 'inline', ca: '' },
    requiresClientCertificate: true,
    subjectAltNames: [],
    minVersion: undefined,
    maxVersion: 'TLSv1.3',
  } as const
  const ended = Promise.withResolvers<SecuredConnection | Error>()
  const server = createTcpServer(socket => {
    t.after(() => socket.destroy())
    security.secure(tls, 'http/1.1', socket, ended.resolve)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const { certificate: cert, privateKey: key } = identity
  const client = connect({ port, host: '127.0.0.1', servername: 'reviews', cert, key, ALPNProtocols: ['http/1.1'] })
  client.on('error', () => {})
  t.after(() => client.destroy())
  assert.ok((await ended.promise) instanceof Error)
})
