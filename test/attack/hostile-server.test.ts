import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttp2Server } from 'node:http2'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { Metadata, status } from '@grpc/grpc-js'
import { request } from 'undici'
import { grpcClientOn } from '../../src/client/grpc/grpc-client.ts'
import { MeshChannel } from '../../src/client/grpc/mesh-channel.ts'
import { createFetch } from '../../src/client/http/fetch.ts'
import type { ForwardAction, Route } from '../../src/discovery/model/route.ts'
import { makeCluster, makeRoute, makeTarget, makeVirtualHost } from '../support/fake-config-source.ts'
import { callUnary, EchoClient } from '../support/grpc-backend.ts'
import { makeMesh } from '../support/test-mesh.ts'
import { until } from '../support/until.ts'

/** What a raw upstream does with the request of that number on a connection; `head` is the request as it came. */
type Answer = (socket: Socket, number: number, head: string) => void

/** An upstream that answers byte for byte, and a mesh whose host `shop` leads to it. */
async function start(t: TestContext, answer: Answer, action: Partial<ForwardAction> = {}, route: Partial<Route> = {}) {
  const connections: Socket[] = []
  const seen: string[] = []
  const upstream = createServer(socket => {
    connections.push(socket)
    let [received, number] = ['', 0]
    socket.on('error', () => {})
    socket.on('data', chunk => {
      received += chunk
      for (let end = received.indexOf('\r\n\r\n'); end >= 0; end = received.indexOf('\r\n\r\n')) {
        const head = received.slice(0, end)
        received = received.slice(end + 4)
        seen.push(head)
        answer(socket, number++, head)
      }
    })
  })
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  t.after(() => {
    for (const socket of connections) socket.destroy()
    upstream.close()
  })
  const mesh = makeMesh(t)
  const { port } = upstream.address() as AddressInfo
  mesh.source.set({
    targets: { shop: makeTarget([makeVirtualHost([makeRoute('c', action, route)])]) },
    clusters: [makeCluster('c', [`127.0.0.1:${port}`])],
  })
  const { dispatcher } = mesh
  const get = async (path = '/'): Promise<string> => {
    const { statusCode, body } = await request(`http://shop${path}`, { dispatcher })
    return `${statusCode} ${await body.text()}`
  }
  return { ...mesh, get, connections, seen }
}

const ok = (body: string) => `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`
const own: Answer = (socket, _number, head) => socket.write(ok(`answer of ${head.split(' ')[1]}`))
/** The rest of what was sent has arrived where it is read. */
const arrived = async () => {
  for (let turn = 0; turn < 20; turn++) await setImmediate()
}

describe('D5: an answer that nobody asked for is given to nobody', () => {
  test('on an idle connection', async t => {
    const { get, connections } = await start(t, own)
    assert.equal(await get('/a'), '200 answer of /a')
    await arrived()
    connections[0]?.write(ok('poison'))
    await arrived()
    assert.equal(await get('/b'), '200 answer of /b')
    assert.equal(connections.length, 2, 'the connection is not used again')
  })

  test('right behind an answer, in one piece with it', async t => {
    const { get } = await start(t, (socket, _number, head) =>
      socket.write(ok(`answer of ${head.split(' ')[1]}`) + ok('poison of this'.padEnd(20)) + ok('poison')),
    )
    for (const path of ['/a', '/b', '/c']) {
      const outcome = await get(path).catch(error => String(error))
      assert.doesNotMatch(outcome, /poison/)
      await arrived()
    }
  })
})

describe('D6: an answer that is not well framed is an error, and its connection is not used again', () => {
  const broken = {
    'shorter than it says': 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc',
    'two lengths': 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd',
    'a length and chunks': 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    'chunks that do not end': 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n',
    'a chunk longer than it says': 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n',
    'no HTTP at all': 'SSH-2.0-OpenSSH_9.9\r\n\r\n',
    'headers that do not end': 'HTTP/1.1 200 OK\r\nx: a',
    'headers of 64 KiB': `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(65_536)}\r\ncontent-length: 0\r\n\r\n`,
    'a change of protocol that nobody asked for': 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
    'a header with NUL': 'HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n',
    'a line break that is none': 'HTTP/1.1 200 OK\r\nx: a\rcontent-length: 3\r\n\r\nabc',
  }
  for (const [what, bytes] of Object.entries(broken)) {
    test(what, async t => {
      const { get, connections } = await start(t, (socket, _number, head) => {
        if (head.startsWith('GET /good ')) socket.write(ok('good'))
        else socket.end(bytes, 'latin1')
      })
      await assert.rejects(get('/bad'))
      assert.equal(await get('/good'), '200 good')
      assert.equal(connections.length, 2)
    })
  }

  test('longer than it says: the rest is no answer to what comes next', async t => {
    const { get } = await start(t, (socket, _number, head) =>
      socket.write(head.startsWith('GET /a ') ? `${ok('abc')}garbage` : ok('good')),
    )
    assert.doesNotMatch(await get('/a').catch(String), /garbage/)
    await arrived()
    assert.equal(await get('/b'), '200 good')
  })

  test('provisional answers are not the answer', async t => {
    const { get } = await start(t, socket =>
      socket.write(`${'HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n'.repeat(1000)}${ok('good')}`),
    )
    assert.equal(await get(), '200 good')
  })

  test('no end of provisional answers: ended by the timeout of the route', async t => {
    let stopped = false
    const flood: Answer = socket => {
      socket.on('close', () => {
        stopped = true
      })
      const write = () => {
        while (!stopped && socket.write('HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n'.repeat(100)));
      }
      socket.on('drain', write)
      write()
    }
    const { get } = await start(t, flood, { timeoutMs: 100 })
    await assert.rejects(get('/'), { code: 'MESH_ERR_DEADLINE' })
    await until(() => stopped)
  })
})

describe('D7: what is sent cannot break out of where it stands', () => {
  const evil = 'a\r\nx-evil: 1'

  test('of the caller: nothing of it is sent', async t => {
    const { dispatcher, seen, get } = await start(t, own)
    const send = (options: object, url = 'http://shop/') => request(url, { dispatcher, ...options })
    await assert.rejects(send({ headers: { x: evil } }))
    await assert.rejects(send({ headers: { x: 'a\0b' } }))
    await assert.rejects(send({ headers: ['x', evil] }))
    await assert.rejects(send({ headers: { [evil]: 'x' } }))
    await assert.rejects(send({ headers: { 'x y': 'x' } }))
    await assert.rejects(send({ headers: { host: `shop\r\nx-evil: 1` } }))
    await assert.rejects(send({ method: `GET / HTTP/1.1\r\nx-evil: 1\r\n\r\nGET` }))
    const dispatch = (path: string) =>
      new Promise((resolve, reject) =>
        dispatcher.dispatch(
          { origin: 'http://shop', path, method: 'GET' },
          { onRequestStart() {}, onResponseStart: resolve, onResponseError: (_controller, error) => reject(error) },
        ),
      )
    for (const path of ['/ HTTP/1.1\r\nx-evil: 1\r\n\r\n', '/a b', '/\0', '/\r\n']) await assert.rejects(dispatch(path), path)
    assert.equal(await get('/good'), '200 answer of /good')
    assert.deepEqual(
      seen.map(head => head.split('\r\n')[0]),
      ['GET /good HTTP/1.1'],
    )
  })

  test('of metadata of gRPC', () => {
    assert.throws(() => new Metadata().set('x-name', evil))
    assert.throws(() => new Metadata().set(evil, 'a'))
  })

  const configured: Readonly<Record<string, readonly [Partial<ForwardAction>, Partial<Route>]>> = {
    'a host': [{ hostRewrite: { kind: 'literal', value: evil } }, {}],
    'a path': [{ pathRewrite: { kind: 'prefix', value: `/ HTTP/1.1\r\nx-evil: 1\r\n\r\n` } }, {}],
    'a header': [
      {},
      {
        headerMutations: {
          requestAdd: [{ name: 'x', value: evil, action: 'overwrite-if-exists-or-add', keepEmptyValue: false }],
          requestRemove: [],
          responseAdd: [],
          responseRemove: [],
        },
      },
    ],
  }
  for (const [what, [action, route]] of Object.entries(configured)) {
    test(`of the configuration, ${what}: nothing of it is sent`, async t => {
      const { get, seen } = await start(t, own, action, route)
      await assert.rejects(get('/'))
      assert.equal(
        seen.some(head => head.includes('x-evil')),
        false,
      )
    })
  }
})

describe('F10: what unpacks to a thousand times its size', () => {
  const mebibyte = 1024 * 1024
  const inGzip = (bytes: number) => {
    const packed = gzipSync(Buffer.alloc(bytes))
    return { packed, twice: gzipSync(packed) }
  }
  const { packed, twice } = inGzip(512 * mebibyte)
  const codings = { 'in one coding': ['gzip', packed], 'in a coding of a coding': ['gzip, gzip', twice] } as const

  for (const [what, [coding, bomb]] of Object.entries(codings)) {
    test(`${what}: is held back as long as nobody reads it`, async t => {
      const { dispatcher } = await start(t, socket => {
        socket.write(`HTTP/1.1 200 OK\r\ncontent-encoding: ${coding}\r\ncontent-length: ${bomb.length}\r\n\r\n`)
        socket.write(bomb)
      })
      const before = process.memoryUsage().arrayBuffers
      const response = await createFetch(dispatcher)('http://shop/')
      const reader = response.body?.getReader() ?? assert.fail('no body')
      const { value } = await reader.read()
      assert.ok((value?.length ?? 0) > 0)
      let [most, turns] = [0, 0]
      while (turns++ < 2_000) {
        await setImmediate()
        most = Math.max(most, process.memoryUsage().arrayBuffers - before)
      }
      assert.ok(most < 8 * mebibyte, `${most / mebibyte} MiB are held`)
      await reader.cancel()
    })
  }

  test('in more than five codings: is refused', async t => {
    const { dispatcher } = await start(t, socket => {
      socket.end(`HTTP/1.1 200 OK\r\ncontent-encoding: ${'gzip, '.repeat(5)}gzip\r\nconnection: close\r\n\r\nx`)
    })
    await assert.rejects(createFetch(dispatcher)('http://shop/').then(response => response.text()))
  })

  test('in a message of gRPC: is refused, by the limit of what it unpacks to', async t => {
    const { packed } = inGzip(16 * mebibyte)
    const server = createHttp2Server().on('stream', stream => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-encoding': 'gzip' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
      const prefix = Buffer.from([1, 0, 0, 0, 0])
      prefix.writeUInt32BE(packed.length, 1)
      stream.end(Buffer.concat([prefix, packed]))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const mesh = makeMesh(t)
    const { port } = server.address() as AddressInfo
    mesh.source.set({
      targets: { echo: makeTarget([makeVirtualHost([makeRoute('c')])]) },
      clusters: [makeCluster('c', [`127.0.0.1:${port}`])],
    })
    const channel = (target: string) => new MeshChannel(mesh.plane, authority => mesh.plane.watch(authority, 'http'), target, {})
    const client = grpcClientOn({ channel }, EchoClient, 'xds:///echo', {})
    t.after(() => client.close())
    const { code, details } = await callUnary(client, Buffer.from('a'))
    assert.equal(code, status.RESOURCE_EXHAUSTED, details)
  })
})
