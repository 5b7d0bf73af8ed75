import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { describe, type TestContext, test } from 'node:test'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import { clientTls, plain, requestOn, secured, startGated } from '../support/gated-server.ts'
import { inboundState, makeChain, modes, mutualTls } from '../support/inbound-model.ts'
import { SvidAuthority } from '../support/svid-fixtures.ts'
import { until } from '../support/until.ts'

const authority = await SvidAuthority.create('td')
const server = await authority.identity('/server')
const client = await authority.identity('/client')

/** Content type of a handshake record (RFC 8446, section 5.1). */
const handshakeRecord = 0x16

/** Whether a client is served. */
async function isServed(t: TestContext, port: number, options: ConnectionOptions): Promise<boolean> {
  const socket = connectTls({ ALPNProtocols: ['http/1.1'], ...options, port })
  t.after(() => socket.destroy())
  socket.on('error', () => {})
  socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')
  return new Promise(resolve => {
    socket.once('data', data => resolve(String(data).startsWith('HTTP/1.1 200')))
    socket.once('close', () => resolve(false))
  })
}

/** The first record that a client of the mesh sends for a server name. */
async function clientHello(servername: string): Promise<Buffer> {
  const sent = new Promise<Buffer>(resolve => {
    const socket = new Duplex({ read() {}, write: (chunk: Buffer) => resolve(chunk) })
    connectTls({ ...clientTls(client, server), ALPNProtocols: ['http/1.1'], servername, socket }).on('error', () => {})
  })
  return sent
}

/** The name of the server in a ClientHello (RFC 6066, section 3), of another length if need be. */
function withServerName(hello: Buffer, before: string, name: Buffer): Buffer {
  const at = hello.indexOf(before)
  const growth = name.length - before.length
  const changed = Buffer.concat([hello.subarray(0, at), name, hello.subarray(at + before.length)])
  // Of the name, the list and the extension; of all extensions, which end the message; of the message and of the record.
  for (const offset of [at - 2, at - 5, at - 7]) changed.writeUInt16BE(changed.readUInt16BE(offset) + growth, offset)
  const extensions = extensionsAt(hello)
  changed.writeUInt16BE(changed.readUInt16BE(extensions) + growth, extensions)
  changed.writeUIntBE(changed.readUIntBE(6, 3) + growth, 6, 3)
  changed.writeUInt16BE(changed.readUInt16BE(3) + growth, 3)
  return changed
}

/** Behind the versions, the random, the session, the ciphers and the compressions (RFC 8446, section 4.1.2). */
function extensionsAt(hello: Buffer): number {
  let at = 5 + 4 + 2 + 32
  at += 1 + hello.readUInt8(at)
  at += 2 + hello.readUInt16BE(at)
  return at + 1 + hello.readUInt8(at)
}

async function closed(socket: Socket): Promise<void> {
  socket.on('error', () => {})
  socket.resume()
  await new Promise(resolve => socket.once('close', resolve))
}

describe('A33: odd server names', () => {
  const names = {
    none: '',
    'in capital letters': 'SERVER.TD',
    'with a dot at its end': 'server.td.',
    'of 255 letters': 'a'.repeat(255),
    'of somebody else': 'other.example',
    'with a wildcard': '*.td',
  }
  for (const [what, servername] of Object.entries(names)) {
    test(`${what}: as strict as any other`, async t => {
      const { source, port } = await startGated(t, (_request, response) => response.end(), server)
      source.setInbound('server', inboundState(...modes.STRICT()))
      assert.equal(await isServed(t, port, { ...clientTls(client, server), servername }), true)
      assert.equal(await isServed(t, port, { ...clientTls(undefined, server), servername }), false)
    })
  }

  const bytes = {
    'with NUL': Buffer.from('serv\0r.td'),
    'with a line break': Buffer.from('serv\nr.td'),
    empty: Buffer.alloc(0),
    'of 10,000 letters': Buffer.alloc(10_000, 'a'),
    'that is no text': Buffer.from([0xff, 0xfe, 0x80, 0xc0]),
  }
  for (const [what, name] of Object.entries(bytes)) {
    test(`${what}: not served, and others are`, async t => {
      let served = 0
      const app = (_request: unknown, response: { end(): void }) => {
        served++
        response.end()
      }
      const { source, port } = await startGated(t, app, server)
      source.setInbound('server', inboundState(...modes.STRICT()))
      const hello = await clientHello('server.td')
      assert.ok(hello.includes('server.td'))
      // Nobody can go on from a ClientHello that is not its own: what counts is that the server bears it.
      const answerTo = async (changed: Buffer): Promise<number | undefined> => {
        const socket = connect(port, '127.0.0.1')
        t.after(() => socket.destroy())
        let first: number | undefined
        socket.once('data', chunk => {
          first = chunk[0]
        })
        socket.write(changed)
        socket.end()
        await closed(socket)
        return first
      }
      await answerTo(withServerName(hello, 'server.td', name))
      assert.equal(
        await answerTo(withServerName(hello, 'server.td', Buffer.from('another.td'))),
        handshakeRecord,
        'it is well made',
      )
      assert.equal(served, 0)
      assert.equal(await isServed(t, port, clientTls(client, server)), true)
    })
  }

  test('a record that says it is of 64 KiB is refused', async t => {
    const { source, port } = await startGated(t, (_request, response) => response.end(), server)
    source.setInbound('server', inboundState(...modes.STRICT()))
    const socket = await plain(t, port)
    socket.write(Buffer.concat([Buffer.from([0x16, 3, 1, 0xff, 0xff]), Buffer.alloc(0xffff, 1)]))
    await closed(socket)
    assert.equal(await isServed(t, port, clientTls(client, server)), true)
  })
})

test('A37: who asks for a renegotiation does not get one, however often', async t => {
  const { source, port } = await startGated(t, (_request, response) => response.end(), server)
  source.setInbound('server', inboundState(makeChain({ tls: { ...mutualTls, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } })))
  const socket: TLSSocket = await secured(t, port, { ...clientTls(client, server), maxVersion: 'TLSv1.2' })
  assert.equal((await requestOn(socket)).response.statusCode, 200)
  assert.equal(socket.getProtocol(), 'TLSv1.2')
  socket.on('error', () => {})
  const outcomes: unknown[] = []
  for (let round = 0; round < 5; round++) socket.renegotiate({ rejectUnauthorized: false }, error => outcomes.push(error))
  await until(() => socket.destroyed || outcomes.length > 0)
  assert.equal(
    outcomes.some(error => error === null),
    false,
    'there was a second handshake',
  )
  assert.equal(await isServed(t, port, { ...clientTls(client, server), maxVersion: 'TLSv1.2' }), true)
})
