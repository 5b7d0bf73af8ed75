// Servers that answer what nobody asked, or otherwise than they say, and applications that pass on what they were given.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Metadata } from '@grpc/grpc-js'
import { createFetch } from '../../src/client/http/fetch.ts'
import { makeCluster, makeRoute, makeTarget, makeVirtualHost } from '../support/fake-config-source.ts'
import { makeMesh } from '../support/test-mesh.ts'

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'

/** A server of bytes, and a mesh that calls it as `echo`. */
async function start(t: TestContext, answer: (request: string, socket: Socket, count: number) => void) {
  const sockets: Socket[] = []
  const requests: string[] = []
  const server = createServer(socket => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.setEncoding('latin1').on('data', (text: string) => {
      requests.push(text)
      answer(text, socket, requests.length)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const { source, dispatcher } = makeMesh(t)
  source.set({
    targets: { echo: makeTarget([makeVirtualHost([makeRoute('c')])]) },
    clusters: [makeCluster('c', [`127.0.0.1:${port}`])],
  })
  const fetch = createFetch(dispatcher)
  const get = async (path = '/', init: RequestInit = {}) => {
    const response = await fetch(`http://echo${path}`, init)
    return `${response.status} ${await response.text()}`
  }
  return { get, dispatcher, sockets, requests }
}

describe('what a server may not do', () => {
  test('D5: an answer that nobody asked for is nobody’s, and ends its connection', async t => {
    const { get, sockets } = await start(t, (_request, socket) => socket.write(ok))
    assert.equal(await get(), '200 ok')
    const [first] = sockets
    assert.ok(first)
    first.write('HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison')
    if (!first.closed) await once(first, 'close')
    assert.equal(await get(), '200 ok')
    assert.equal(sockets.length, 2)
  })

  test('D5: nor one behind the answer that was asked for', async t => {
    const { get, sockets } = await start(t, (_request, socket, count) =>
      socket.write(count === 1 ? `${ok}HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison` : ok),
    )
    await get().catch(() => {})
    assert.equal(await get(), '200 ok')
    assert.equal(sockets.length, 2)
  })

  const wrong: Readonly<Record<string, string>> = {
    'fewer bytes than it says': 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc',
    'chunks that end too soon': 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc',
    'two lengths': 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok',
    'a length and chunks': 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    'another protocol that nobody asked for': 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
    'no HTTP': 'SSH-2.0-OpenSSH\r\n',
    'headers without end': `HTTP/1.1 200 OK\r\n${'x: a\r\n'.repeat(20_000)}`,
  }
  for (const [name, bytes] of Object.entries(wrong))
    test(`D6: ${name} is an error, and the end of the connection`, async t => {
      const { get, sockets } = await start(t, (_request, socket, count) => {
        if (count > 1) socket.write(ok)
        else socket.end(bytes)
      })
      await assert.rejects(get())
      assert.equal(await get(), '200 ok')
      assert.equal(sockets.length, 2)
    })

  test('D6: informational answers are not the answer', async t => {
    const { get } = await start(t, (_request, socket) =>
      socket.write(`${'HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n'.repeat(1000)}${ok}`),
    )
    assert.equal(await get(), '200 ok')
  })
})

describe('D7: what an application passes on cannot become a request of its own', () => {
  const broken = 'a\r\nx-admin: yes\r\n\r\nGET /admin HTTP/1.1'

  test('in a header', async t => {
    const { get, dispatcher, requests } = await start(t, (_request, socket) => socket.write(ok))
    await assert.rejects(async () => get('/', { headers: { 'x-name': broken } }), TypeError)
    await assert.rejects(async () => get('/', { headers: { [broken]: 'a' } }), TypeError)
    const options = { origin: 'http://echo', path: '/', method: 'GET' } as const
    await assert.rejects(async () => dispatcher.request({ ...options, headers: { 'x-name': broken } }))
    await assert.rejects(async () => dispatcher.request({ ...options, headers: ['x-name', broken] }))
    assert.deepEqual(requests, [])
  })

  test('in a path or a method', async t => {
    const { get, dispatcher, requests } = await start(t, (_request, socket) => socket.write(ok))
    await assert.rejects(async () => dispatcher.request({ origin: 'http://echo', path: `/${broken}`, method: 'GET' }))
    await assert.rejects(async () => dispatcher.request({ origin: 'http://echo', path: '/', method: broken as 'GET' }))
    await assert.rejects(async () => get('/', { method: broken }), TypeError)
    assert.deepEqual(requests, [])
    assert.equal(await get(`/${broken}`), '200 ok')
    assert.match(requests.join(''), /^GET \/ax-admin:%20yesGET%20\/admin%20HTTP\/1\.1 HTTP\/1\.1\r\n/)
  })

  test('in metadata of gRPC', async () => {
    await setImmediate()
    assert.throws(() => new Metadata().set('x-name', broken))
    assert.throws(() => new Metadata().set(broken, 'a'))
  })
})
