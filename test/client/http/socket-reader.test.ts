import assert from 'node:assert/strict'
import { type Channel, channel } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type LookupFunction, type Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { IncomingBody } from '../../../src/client/http/incoming-body.ts'
import { giveBack, SocketReader } from '../../../src/client/http/socket-reader.ts'

const kib = 1024
const nobody = { pause() {}, resume() {}, abandon() {}, headBuffer: () => null, settled() {} }

/** A reader whose socket only collects what is pushed to it, and the read that the kernel would do. */
function makeReader() {
  const pushed: Buffer[] = []
  const socket = { once() {}, push: (chunk: Buffer) => pushed.push(chunk) > 0 }
  const reader = new SocketReader()
  const { buffer, callback } = reader.onread
  assert.ok(typeof buffer === 'function')
  let target = buffer()
  reader.attach(socket as never)
  const read = (byte: number, size: number): Buffer => {
    target.fill(byte, 0, size)
    callback(size, target)
    target = buffer() ?? target
    const chunk = pushed.at(-1)
    assert.ok(chunk)
    return chunk
  }
  return { read }
}

const isAll = (chunk: Buffer, byte: number, size: number) => chunk.length === size && chunk.every(value => value === byte)

describe('what is read of a socket', () => {
  test('is not overwritten by what comes next, on this connection or another', () => {
    const [one, other] = [makeReader(), makeReader()]
    const sizes = [100, 4 * kib, 31 * kib, 32 * kib, 64 * kib, 64 * kib, 10, 40 * kib, 64 * kib]
    const chunks = sizes.flatMap((size, index) => [
      { size, byte: 2 * index, chunk: one.read(2 * index, size) },
      { size, byte: 2 * index + 1, chunk: other.read(2 * index + 1, size) },
    ])
    for (const { chunk, byte, size } of chunks) assert.ok(isAll(chunk, byte, size), `${size} bytes of ${byte}`)
  })

  test('comes again in memory that was given back', () => {
    const { read } = makeReader()
    const first = read(1, 64 * kib)
    giveBack([first], null)
    const buffers = new Set([2, 3, 4].map(byte => read(byte, 64 * kib).buffer))
    assert.ok(buffers.has(first.buffer))
  })

  const kept: Record<string, (chunk: Buffer) => void> = {
    'that begins with something else': chunk => giveBack([chunk.subarray(1)], null),
    'that ends with something else': chunk => giveBack([chunk.subarray(0, -1)], null),
    'that is watched through undici': chunk => {
      const watched: Channel = channel('undici:request:bodyChunkReceived')
      const watch = () => undefined
      watched.subscribe(watch)
      giveBack([chunk], null)
      watched.unsubscribe(watch)
    },
    'that was given back before': chunk => {
      giveBack([chunk], null)
      const again = makeReader()
      let taken = again.read(1, 64 * kib)
      while (taken.buffer !== chunk.buffer) taken = again.read(1, 64 * kib)
      giveBack([chunk.subarray(0, 40 * kib)], null)
    },
  }
  for (const [name, give] of Object.entries(kept)) {
    test(`memory ${name} is not used again`, () => {
      const { read } = makeReader()
      const chunk = read(1, 64 * kib)
      give(chunk)
      for (let byte = 2; byte < 100; byte++) assert.notEqual(read(byte, 64 * kib).buffer, chunk.buffer)
    })
  }

  test('a head before the body is part of the answer', () => {
    const { read } = makeReader()
    const chunk = read(1, 64 * kib)
    giveBack([chunk.subarray(100)], chunk.buffer)
    const buffers = new Set([2, 3, 4].map(byte => read(byte, 64 * kib).buffer))
    assert.ok(buffers.has(chunk.buffer))
  })

  test('every byte arrives in order on a real connection, read late and in any portions', async t => {
    const { socket, expected } = await serve(t)
    let seen = 0
    for await (const chunk of socket.iterator()) {
      for (const value of chunk as Buffer) {
        if (value !== seen++ % 251) assert.fail(`byte ${seen - 1} is ${value}`)
      }
      if (seen % 5 === 0) await new Promise(resolve => setImmediate(resolve))
    }
    assert.equal(seen, expected)
  })
})

describe('a body that arrives', () => {
  test('is not disturbed by a chunk without bytes', async () => {
    const body = new IncomingBody(nobody)
    const reader = body.stream().getReader()
    const first = reader.read()
    body.push(Buffer.alloc(0))
    body.push(Buffer.from('a'))
    body.end()
    assert.deepEqual(await first, { done: false, value: new Uint8Array([97]) })
    assert.equal((await reader.read()).done, true)
  })
})

async function serve(t: TestContext): Promise<{ socket: Socket; expected: number }> {
  const portions = Array.from({ length: 200 }, (_, index) => ((index * 7919) % 90_000) + 1)
  const expected = portions.reduce((sum, size) => sum + size, 0)
  let at = 0
  const server = createServer(async peer => {
    for (const size of portions) {
      const portion = Buffer.from(Uint8Array.from({ length: size }, (_, index) => (at + index) % 251))
      at += size
      if (!peer.write(portion)) await once(peer, 'drain')
    }
    peer.end()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.after(() => server.close())
  const reader = new SocketReader()
  const { port } = server.address() as AddressInfo
  // The first address refuses.
  const lookup: LookupFunction = (_host, _options, callback) =>
    callback(null, [
      { address: '127.0.0.2', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ])
  const socket = connect({ host: 'server', port, lookup, autoSelectFamily: true, onread: reader.onread })
  socket.once('connect', () => reader.attach(socket))
  return { socket, expected }
}
