import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { Dispatcher } from 'undici'
import { isConnectFailure } from '../../../src/client/http/connection-failure.ts'
import { type ConnectionOptions, ConnectionPools } from '../../../src/client/http/connection-pool.ts'
import { systemClock } from '../../../src/runtime.ts'
import { startUpstream, unusedPort } from '../../support/http-upstream.ts'
import { RecordingHandler } from '../../support/recording-handler.ts'
import { makeTransport } from '../../support/tls-model.ts'

const http = {
  protocol: 'http1',
  idleTimeoutMs: undefined,
  maxConnectionDurationMs: undefined,
  maxRequestsPerConnection: undefined,
} as const

function makePools(t: TestContext, options: Partial<ConnectionOptions> & { readonly port: number }): ConnectionPools {
  const pools = new ConnectionPools({
    address: '127.0.0.1',
    connectTimeoutMs: 1000,
    maxConnections: Infinity,
    tls: undefined,
    http,
    clock: systemClock,
    ...options,
  })
  t.after(() => pools.destroy(new Error('test over')))
  return pools
}

async function send(dispatcher: Dispatcher, options: Partial<Dispatcher.DispatchOptions> = {}): Promise<RecordingHandler> {
  const handler = new RecordingHandler()
  dispatcher.dispatch({ path: '/', method: 'GET', ...options }, handler)
  await handler.done
  return handler
}

const idle = async () => {
  for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve))
}

describe('ConnectionPools', () => {
  it('dials the endpoint and names the origin', async t => {
    const upstream = await startUpstream(t)
    const handler = await send(makePools(t, { port: upstream.port }).get('http://reviews:9080'))
    assert.equal(handler.statusCode, 200)
    assert.equal(upstream.seen[0]?.headers.host, 'reviews:9080')
  })

  it('has one pool for each origin', async t => {
    const pools = makePools(t, { port: 1 })
    assert.equal(pools.get('http://a'), pools.get('http://a'))
    assert.notEqual(pools.get('http://a'), pools.get('http://b'))
    assert.equal(pools.get('http://a'), pools.get('http://a'))
  })

  it('opens no more connections than allowed', async t => {
    const upstream = await startUpstream(t, (_seen, response) => setImmediate(() => response.end()))
    const pool = makePools(t, { port: upstream.port, maxConnections: 2 }).get('http://a')
    await Promise.all(Array.from({ length: 10 }, () => send(pool)))
    assert.equal(new Set(upstream.seen.map(({ connection }) => connection)).size, 2)
  })

  it('uses a connection for no more requests than allowed', async t => {
    const upstream = await startUpstream(t)
    const pool = makePools(t, { port: upstream.port, maxConnections: 1, http: { ...http, maxRequestsPerConnection: 2 } }).get(
      'http://a',
    )
    for (let call = 0; call < 4; call++) {
      await send(pool)
      await idle()
    }
    assert.equal(new Set(upstream.seen.map(({ connection }) => connection)).size, 2)
  })

  it('lets go of an idle connection before a Node server would', async t => {
    const server = createHttpServer({ keepAliveTimeout: 3000 }, (_request, response) => response.end())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const closed = new Promise(resolve => server.on('connection', socket => socket.on('close', resolve)))
    const begun = performance.now()
    await send(makePools(t, { port: (server.address() as AddressInfo).port }).get('http://a'))
    await closed
    assert.ok(performance.now() - begun < 2500)
  })

  it('marks a refused connection as one', async t => {
    const handler = await send(makePools(t, { port: await unusedPort() }).get('http://a'))
    assert.ok(handler.error)
    assert.ok(isConnectFailure(handler.error))
  })

  it('marks a connect timeout as one, and is on time', async t => {
    // TLS to a server that never speaks: the handshake is part of connecting.
    const server = createTcpServer(() => {})
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const { port } = server.address() as AddressInfo
    const tls = makeTransport()
    const begun = performance.now()
    const handler = await send(makePools(t, { port, connectTimeoutMs: 50, tls }).get('http://a'))
    assert.ok(performance.now() - begun < 400)
    assert.ok(handler.error)
    assert.ok(isConnectFailure(handler.error))
    assert.equal('code' in handler.error && handler.error.code, 'UND_ERR_CONNECT_TIMEOUT')
  })

  it('never speaks plaintext to an https origin', async t => {
    const upstream = await startUpstream(t)
    const handler = await send(makePools(t, { port: upstream.port }).get('https://a'))
    assert.ok(handler.error)
    assert.ok(isConnectFailure(handler.error))
    assert.equal(upstream.seen.length, 0)
  })

  it('speaks HTTP/2 without TLS where the cluster says so, over few sessions', async t => {
    const server = createHttp2Server((request, response) => response.end(`${request.httpVersion} ${request.authority}`))
    let sessions = 0
    server.on('session', () => sessions++)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const pools = makePools(t, { port, http: { ...http, protocol: 'http2' } })
    t.after(() => server.close())
    const handlers = await Promise.all(
      Array.from({ length: 20 }, () => send(pools.get('http://reviews'), { method: 'POST', body: 'x' })),
    )
    for (const { body, error } of handlers) {
      assert.equal(error, null)
      assert.equal(body, '2.0 reviews')
    }
    assert.ok(sessions <= 2, `${sessions} sessions`)
    await pools.destroy(new Error('done'))
  })

  it('reaches a Unix socket', async t => {
    const folder = mkdtempSync(join(tmpdir(), 'inmesh-'))
    const path = join(folder, 'app.sock')
    const server = createHttpServer((request, response) => response.end(request.headers.host))
    server.listen(path)
    await once(server, 'listening')
    t.after(() => {
      server.close()
      rmSync(folder, { recursive: true })
    })
    const pools = makePools(t, { address: path, port: 0 })
    const { body } = await send(pools.get('http://reviews'))
    assert.equal(body, 'reviews')
    await pools.destroy(new Error('done'))
  })

  it('drains: what is in flight ends well, what comes in this turn is taken, and then it is over', async t => {
    const upstream = await startUpstream(t, (_seen, response) => setTimeout(() => response.end('done'), 20))
    const pools = makePools(t, { port: upstream.port })
    const before = send(pools.get('http://a'))
    const drained = pools.drain()
    const same = send(pools.get('http://a'))
    assert.equal((await before).body, 'done')
    assert.equal((await same).body, 'done')
    await drained
    await idle()
    assert.equal(upstream.sockets.size, 0)
  })
})
