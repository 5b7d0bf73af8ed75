import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { XdsConnection } from '../../src/discovery/xds-connection.ts'
import { Identities } from '../../src/security/identities.ts'
import { ownCertificate } from '../../src/security/tls-material.ts'
import { FakeCertificateProvider } from '../support/fake-certificate-provider.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { SvidAuthority } from '../support/svid-fixtures.ts'

const emptySettings = [0, 0, 0, 4, 0, 0, 0, 0, 0]
const settingsAck = [0, 0, 0, 4, 1, 0, 0, 0, 0]
const goaway = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]

/** A connection to a control plane that says its settings, and then nothing that a test does not make it say; it never hangs up. */
async function open(t: TestContext) {
  const accepted: Socket[] = []
  const server = createServer({ allowHalfOpen: true }, socket => {
    accepted.push(socket)
    socket.on('error', () => {})
    socket.resume().write(Buffer.from([...emptySettings, ...settingsAck]))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of accepted) socket.destroy()
    server.close()
  })
  const clock = new ManualClock()
  const uri = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const connection = new XdsConnection(http2, { uri, credentials: { kind: 'insecure' }, identities: new Identities(), clock })
  await new Promise<void>(resolve => connection.onReady(resolve))
  const [peer = assert.fail('not connected')] = accepted
  /** Resolves when the control plane can write no more: the connection is gone, and not only half closed. */
  const gone = async () => {
    while (!peer.destroyed) {
      peer.write('x')
      await turn()
    }
  }
  return { connection, clock, peer, gone }
}

test('a control plane that answers no ping is left', async t => {
  const { connection, clock, gone } = await open(t)
  clock.advance(15_000)
  clock.advance(5_000)
  await gone()
  assert.match(String(connection.error), /no answer to a ping within 5000 ms/)
})

test('a ping that was answered while the application held the event loop is no reason to leave', async t => {
  const { connection, clock, peer, gone } = await open(t)
  // PING with its ACK; what it carries comes back.
  const answered = new Promise<void>(resolve => {
    peer.on('data', (bytes: Buffer) => {
      const at = bytes.indexOf(Buffer.from([0, 0, 8, 6, 0]))
      if (at < 0) return
      const frame = Buffer.from(bytes.subarray(at, at + 17))
      frame[4] = 1
      peer.write(frame, () => resolve())
    })
  })
  clock.advance(15_000)
  await answered
  clock.hold(6_000)
  // It is read before the timer gets another turn.
  for (let turns = 0; turns < 5; turns++) await turn()
  clock.advance(1_000)
  assert.equal(connection.isUsable, true)
  peer.removeAllListeners('data').resume()
  clock.advance(15_000)
  clock.hold(6_000)
  clock.advance(0)
  await gone()
})

for (const [how, end] of [
  ['was closed', ({ connection }: { connection: XdsConnection }) => connection.close()],
  ['was told to go', ({ peer }: { peer: Socket }) => void peer.write(Buffer.from(goaway))],
] as const) {
  test(`a connection that ${how} does not wait for ever for the other side to hang up`, async t => {
    const opened = await open(t)
    const { connection, clock, peer, gone } = opened
    const half = once(peer, 'end')
    end(opened)
    await half
    assert.equal(connection.isUsable, false)
    clock.advance(15_000)
    await gone()
    assert.equal(clock.pendingTimers, 0)
  })

  test(`a connection that ${how} is gone at once when it is destroyed`, async t => {
    const opened = await open(t)
    const half = once(opened.peer, 'end')
    end(opened)
    await half
    opened.connection.destroy()
    await opened.gone()
  })
}

test('A17: a connection under a root that was removed is ended within 30 s, and one under a root that stays goes on', async t => {
  const authority = await SvidAuthority.create('td')
  const other = await SvidAuthority.create('td')
  const controlPlane = await authority.identity('/ns/inmesh-system/sa/control-plane')
  const server = http2.createSecureServer(ownCertificate(controlPlane))
  server.on('session', session => session.on('error', () => {}))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const me = await authority.identity('/me')
  const trusting = (...authorities: readonly SvidAuthority[]) => {
    const bundle = { trustDomain: 'td', authorities: authorities.map(({ root }) => root), sequence: undefined }
    return { ...me, bundles: new Map([['td', bundle]]) }
  }
  const provider = new FakeCertificateProvider(trusting(authority))
  const identities = new Identities(new Map([['default', provider]]))
  const clock = new ManualClock(Date.now())
  const uri = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const connection = new XdsConnection(http2, { uri, credentials: { kind: 'identity' }, identities, clock, keepaliveTimeMs: 1e9 })
  t.after(() => {
    connection.destroy()
    server.close()
  })
  await new Promise<void>(resolve => connection.onReady(resolve))
  provider.set(trusting(authority, other))
  clock.advance(30_000)
  assert.equal(connection.isUsable, true)
  provider.set(trusting(other))
  clock.advance(19_999)
  assert.equal(connection.isUsable, true, 'what is on it may finish')
  clock.advance(1)
  assert.equal(connection.isUsable, false)
  assert.match(String(connection.error), /a root that it was verified with is not trusted any more/)
})
