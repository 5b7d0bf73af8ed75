import assert from 'node:assert/strict'
import { PassThrough, Writable } from 'node:stream'
import { pipeline as pipeStreams } from 'node:stream/promises'
import { describe, it, type TestContext } from 'node:test'
import { Agent, type Dispatcher, pipeline, request, stream, fetch as undiciFetch } from 'undici'
import { createFetch } from '../../../src/client/http/fetch.ts'
import type { LegacyDispatchHandler } from '../../../src/client/http/legacy-handler.ts'
import { isMeshError } from '../../../src/errors.ts'
import { makeCluster, makeRoute, makeTarget, makeVirtualHost } from '../../support/fake-config-source.ts'
import { type Answer, startUpstream } from '../../support/http-upstream.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { RecordingHandler } from '../../support/recording-handler.ts'
import { makeMesh, type TestMeshOptions } from '../../support/test-mesh.ts'

/** A mesh whose host `reviews` is served by one upstream. */
async function meshOfOne(t: TestContext, answer?: Answer, options: TestMeshOptions = {}) {
  const upstream = await startUpstream(t, answer)
  const mesh = makeMesh(t, options)
  mesh.source.set({
    targets: { reviews: makeTarget([makeVirtualHost([makeRoute('reviews-v1')])]) },
    clusters: [makeCluster('reviews-v1', [upstream.address])],
  })
  return { ...mesh, upstream }
}

const echo: Answer = (seen, response) => response.end(JSON.stringify({ method: seen.method, url: seen.url, body: seen.body }))

describe('MeshDispatcher under every API', () => {
  it('request', async t => {
    const { dispatcher } = await meshOfOne(t, echo)
    const { statusCode, body } = await request('http://reviews/a?b=1', { dispatcher, method: 'POST', body: 'hello' })
    assert.equal(statusCode, 200)
    assert.deepEqual(await body.json(), { method: 'POST', url: '/a?b=1', body: 'hello' })
  })

  it('request with a query object', async t => {
    const { dispatcher, upstream, telemetry } = await meshOfOne(t, echo)
    const { body } = await request('http://reviews/a', { dispatcher, query: { b: 1, c: ['x', 'y'] } })
    await body.dump()
    assert.equal(upstream.seen[0]?.url, '/a?b=1&c=x&c=y')
    assert.equal(telemetry.finished[0]?.outcome.path, '/a?b=1&c=x&c=y')
  })

  it('stream', async t => {
    const { dispatcher } = await meshOfOne(t, echo)
    const chunks: Buffer[] = []
    const into = new Writable({
      write(chunk, _encoding, done) {
        chunks.push(chunk)
        done()
      },
    })
    await stream('http://reviews/s', { dispatcher, method: 'GET' }, () => into)
    assert.equal(JSON.parse(Buffer.concat(chunks).toString()).url, '/s')
  })

  it('pipeline', async t => {
    const { dispatcher } = await meshOfOne(t, echo)
    const duplex = pipeline('http://reviews/p', { dispatcher, method: 'PUT' }, ({ body }) => body)
    const out = new PassThrough()
    duplex.end('streamed')
    await pipeStreams(duplex, out)
    assert.deepEqual(JSON.parse(String(out.read())), { method: 'PUT', url: '/p', body: 'streamed' })
  })

  for (const [name, fetch] of [
    ["undici's fetch", undiciFetch],
    ["Node's fetch", globalThis.fetch],
    ['our fetch', undefined],
  ] as const) {
    it(name, async t => {
      const { dispatcher } = await meshOfOne(t, echo)
      const call = (url: string, init: object = {}): Promise<Response> =>
        fetch === undefined
          ? createFetch(dispatcher)(url, init)
          : // The types of the three are of different copies.
            (Reflect.apply(fetch, undefined, [url, { ...init, dispatcher }]) as Promise<Response>)
      assert.deepEqual(await (await call('http://reviews/f?x')).json(), { method: 'GET', url: '/f?x', body: '' })
      const posted = await call('http://reviews/f', { method: 'POST', body: new URLSearchParams({ a: '1' }) })
      assert.deepEqual(await posted.json(), { method: 'POST', url: '/f', body: 'a=1' })
      const streamed = new Blob(['str', 'eam']).stream()
      const put = await call('http://reviews/f', { method: 'PUT', body: streamed, duplex: 'half' })
      assert.deepEqual(await put.json(), { method: 'PUT', url: '/f', body: 'stream' })
    })
  }

  it('request with a FormData of another copy, which undici by itself refuses', async t => {
    const { dispatcher, upstream } = await meshOfOne(t, echo)
    const form = new FormData()
    form.set('name', 'value')
    const { body } = await request('http://reviews/', { dispatcher, method: 'POST', body: form as never })
    await body.dump()
    assert.match(upstream.seen[0]?.headers['content-type'] ?? '', /^multipart\/form-data; boundary=/)
    assert.match(upstream.seen[0]?.body ?? '', /name="name"\r\n\r\nvalue\r\n/)
  })

  it('takes an origin as a URL, and headers in each form', async t => {
    const { dispatcher, upstream } = await meshOfOne(t)
    const forms: Dispatcher.DispatchOptions['headers'][] = [
      { 'x-a': '1', 'X-B': ['2', '3'] },
      ['x-a', '1', 'X-B', '2', 'X-B', '3'],
      new Map<string, string | string[]>([
        ['x-a', '1'],
        ['X-B', ['2', '3']],
      ]),
    ]
    for (const headers of forms) {
      const handler = new RecordingHandler()
      dispatcher.dispatch({ origin: new URL('http://reviews'), path: '/', method: 'GET', headers: headers ?? null }, handler)
      await handler.done
      assert.equal(handler.error, null)
      const seen = upstream.seen.at(-1)?.headers
      assert.equal(seen?.['x-a'], '1')
      assert.equal(seen?.['x-b'], '2, 3')
    }
  })

  it('is driven by a handler of the old ABI', async t => {
    const { dispatcher } = await meshOfOne(t, (_seen, response) =>
      response.writeHead(201, 'Made', { 'X-Case': 'Kept' }).end('body'),
    )
    const calls: unknown[] = []
    await new Promise<void>((resolve, reject) => {
      const old: LegacyDispatchHandler = {
        onConnect: abort => calls.push(['connect', typeof abort]),
        onHeaders: (status, raw, resume, text) => {
          calls.push([status, text, typeof resume, raw.map(String).includes('X-Case')])
          return true
        },
        onData: chunk => {
          calls.push(String(chunk))
          return true
        },
        onComplete: () => resolve(),
        onError: reject,
      }
      dispatcher.dispatch({ origin: 'http://reviews', path: '/', method: 'GET' }, old)
    })
    assert.deepEqual(calls, [['connect', 'function'], [201, 'Made', 'function', true], 'body'])
  })
})

describe('MeshDispatcher and its handler', () => {
  it('gives one controller at once, and every callback once and in order', async t => {
    const { dispatcher } = await meshOfOne(t, (_seen, response) => {
      response.writeEarlyHints({ link: '</a>; rel=preload' })
      response.writeHead(200, { trailer: 'x-t' })
      response.write('a')
      response.addTrailers({ 'x-t': 'end' })
      response.end('b')
    })
    const handler = new RecordingHandler()
    dispatcher.dispatch({ origin: 'http://reviews', path: '/', method: 'POST', body: 'x' }, handler)
    assert.deepEqual(handler.calls, ['requestStart'])
    await handler.done
    assert.deepEqual(handler.calls, [
      'requestStart',
      'bodySent',
      'requestSent',
      'responseStarted',
      'responseStart 103',
      'responseStarted',
      'responseStart 200',
      'responseEnd',
    ])
    assert.equal(handler.body, 'ab')
    assert.equal(handler.trailers['x-t'], 'end')
    assert.equal(handler.controllers.size, 1)
  })

  it('holds the answer back while it is paused', async t => {
    const { dispatcher } = await meshOfOne(t, (_seen, response) => response.end('x'.repeat(500_000)))
    const handler = new RecordingHandler()
    let isPaused = false
    handler.onChunk = controller => {
      assert.equal(isPaused, false)
      isPaused = true
      controller.pause()
      assert.equal(controller.paused, true)
      setImmediate(() => {
        isPaused = false
        controller.resume()
      })
    }
    dispatcher.dispatch({ origin: 'http://reviews', path: '/', method: 'GET' }, handler)
    await handler.done
    assert.equal(handler.error, null)
    assert.equal(handler.body.length, 500_000)
  })

  it('aborts while the answer is awaited, and in the middle of it, with the very reason', async t => {
    const { dispatcher, telemetry, upstream } = await meshOfOne(t, (seen, response) => {
      if (seen.url === '/half') response.write('half')
    })
    for (const path of ['/none', '/half']) {
      const handler = new RecordingHandler()
      dispatcher.dispatch({ origin: 'http://reviews', path, method: 'GET' }, handler)
      const reason = new Error(`stop ${path}`)
      if (path === '/half') handler.onChunk = controller => controller.abort(reason)
      else upstream.server.once('request', () => setImmediate(() => handler.controller?.abort(reason)))
      await handler.done
      assert.equal(handler.error, reason)
      assert.equal(handler.calls.filter(call => call === 'responseError').length, 1)
      assert.equal(telemetry.finished.at(-1)?.outcome.flag, 'DC')
    }
  })

  it('aborts inside onRequestStart without sending anything', async t => {
    const { dispatcher, upstream } = await meshOfOne(t)
    const reason = new Error('changed my mind')
    const handler = new RecordingHandler()
    const onRequestStart = handler.onRequestStart.bind(handler)
    handler.onRequestStart = controller => {
      onRequestStart(controller)
      controller.abort(reason)
    }
    dispatcher.dispatch({ origin: 'http://reviews', path: '/', method: 'GET' }, handler)
    await handler.done
    assert.deepEqual(handler.calls, ['requestStart', 'responseError'])
    assert.equal(handler.error, reason)
    await new Promise(resolve => setImmediate(resolve))
    assert.equal(upstream.seen.length, 0)
  })

  it('turns what the handler throws into its error, and the connection survives nobody', async t => {
    const { dispatcher, telemetry } = await meshOfOne(t)
    const handler = new RecordingHandler()
    const thrown = new Error('handler bug')
    handler.onStart = () => {
      throw thrown
    }
    dispatcher.dispatch({ origin: 'http://reviews', path: '/', method: 'GET' }, handler)
    await handler.done
    assert.ok(handler.error === thrown || handler.error?.cause === thrown)
    assert.equal(telemetry.finished.length, 1)
  })

  it('hands a refused request back as the caller’s mistake', async t => {
    const { dispatcher, telemetry } = await meshOfOne(t)
    await assert.rejects(request('http://reviews/', { dispatcher, headers: { 'bad header': '1' } }), {
      code: 'UND_ERR_INVALID_ARG',
    })
    assert.equal(telemetry.finished[0]?.outcome.flag, 'DPE')
  })

  it('upgrades through the endpoint', async t => {
    const { dispatcher, upstream, telemetry } = await meshOfOne(t)
    upstream.server.on('upgrade', (_request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
      socket.on('data', chunk => socket.write(chunk))
    })
    const { socket } = await dispatcher.upgrade({ path: '/', origin: 'http://reviews', protocol: 'echo' } as never)
    socket.write('ping')
    const [answer] = await new Promise<Buffer[]>(resolve => socket.once('data', (...chunks) => resolve(chunks)))
    assert.equal(String(answer), 'ping')
    socket.destroy()
    assert.equal(telemetry.finished[0]?.outcome.statusCode, 101)
  })
})

describe('MeshDispatcher and hosts outside the mesh', () => {
  /** A dispatcher that writes down what reaches it. */
  class Recorder extends Agent {
    readonly origins: string[] = []

    override dispatch(options: Agent.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
      this.origins.push(String(options.origin))
      return super.dispatch(options, handler)
    }
  }

  it('sends them to the previous dispatcher synchronously, without watching anything', async t => {
    const previous = new Recorder()
    t.after(() => previous.destroy())
    const { dispatcher, source, upstream } = await meshOfOne(t, undefined, { previous })
    const handler = new RecordingHandler()
    dispatcher.dispatch({ origin: `http://127.0.0.1:${upstream.port}`, path: '/', method: 'GET' }, handler)
    assert.deepEqual(previous.origins, [`http://127.0.0.1:${upstream.port}`])
    await handler.done
    assert.equal(handler.body, String(upstream.port))
    assert.deepEqual(
      source.calls,
      ['watch reviews'].filter(() => false),
    )
  })

  it('lets a dotted name pass while it is probed, and takes it into the mesh once it is known', async t => {
    const previous = new Recorder({
      connect: { lookup: (_name, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }]) },
    })
    t.after(() => previous.destroy())
    const { dispatcher, source, upstream } = await meshOfOne(t, undefined, { previous })
    const url = `http://api.example.com:${upstream.port}/`
    await (await request(url, { dispatcher })).body.dump()
    assert.equal(previous.origins.length, 1)
    const authority = `api.example.com:${upstream.port}`
    assert.ok(source.watched.has(authority))
    source.set({ targets: { [authority]: makeTarget([makeVirtualHost([makeRoute('reviews-v1')])]) } })
    await (await request(url, { dispatcher })).body.dump()
    assert.equal(previous.origins.length, 1)
    assert.equal(upstream.seen.length, 2)
  })

  it('asks again for an unknown name only after a while', async t => {
    const clock = new ManualClock()
    const previous = new Recorder({
      connect: { lookup: (_name, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }]) },
    })
    t.after(() => previous.destroy())
    const { dispatcher, source, upstream } = await meshOfOne(t, undefined, { previous, clock, negativeTtlMs: 1000 })
    const authority = `api.example.com:${upstream.port}`
    const call = async () => (await request(`http://${authority}/`, { dispatcher })).body.dump()
    await call()
    source.set({ targets: { [authority]: { kind: 'failed', reason: 'does-not-exist', message: 'no listener' } } })
    await call()
    clock.advance(999)
    await call()
    assert.deepEqual(source.calls, [`watch ${authority}`])
    clock.advance(2)
    await call()
    assert.deepEqual(source.calls, [`watch ${authority}`, `unwatch ${authority}`, `watch ${authority}`])
  })

  it('lets a single-label name pass that the control plane does not know, also when the request has waited for that', async t => {
    const previous = new Recorder({
      connect: { lookup: (_name, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }]) },
    })
    t.after(() => previous.destroy())
    const { dispatcher, source, upstream, telemetry } = await meshOfOne(t, echo, { previous })
    const url = `http://search:${upstream.port}/q`
    const waiting = request(url, { dispatcher, method: 'PUT', body: new Blob(['b']).stream() as never })
    source.set({ targets: { [`search:${upstream.port}`]: { kind: 'failed', reason: 'does-not-exist', message: 'no listener' } } })
    assert.deepEqual(await (await waiting).body.json(), { method: 'PUT', url: '/q', body: 'b' })
    telemetry.traced = true
    telemetry.requestDeadlineAt = performance.now() + 60_000
    assert.equal((await request(url, { dispatcher })).statusCode, 200)
    assert.equal(previous.origins.length, 2)
    assert.equal(telemetry.finished[0]?.outcome.statusCode, 200)
    assert.equal(upstream.seen[1]?.headers['x-envoy-expected-rq-timeout-ms'], undefined, 'it is told of no deadline')
  })

  it('calls a name unknown that DNS does not know either', async t => {
    const notFound = Object.assign(new Error('getaddrinfo ENOTFOUND nosuch'), { code: 'ENOTFOUND' })
    const previous = new Recorder({ connect: { lookup: (_name, _options, done) => done(notFound, []) } })
    t.after(() => previous.destroy())
    const { dispatcher, source } = await meshOfOne(t, undefined, { previous })
    source.set({ targets: { nosuch: { kind: 'failed', reason: 'does-not-exist', message: 'no listener' } } })
    await assert.rejects(request('http://nosuch/', { dispatcher }), error => {
      assert.ok(isMeshError(error))
      assert.equal(error.code, 'MESH_ERR_UNKNOWN_HOST')
      assert.equal(error.message, 'host nosuch: not in the mesh: no listener, and past the mesh: getaddrinfo ENOTFOUND nosuch')
      assert.equal(error.cause, notFound)
      return true
    })
  })

  it('refuses them with registry-only, but never loopback', async t => {
    const { dispatcher, upstream } = await meshOfOne(t, undefined, { outboundPolicy: 'registry-only' })
    await assert.rejects(request('http://10.1.2.3/', { dispatcher }), error => {
      assert.ok(isMeshError(error))
      assert.equal(error.code, 'MESH_ERR_UNKNOWN_HOST')
      assert.equal(error.flag, 'NR')
      assert.equal(error.statusCode, 502)
      return true
    })
    assert.equal((await request(upstream.address.replace(/^/, 'http://'), { dispatcher })).statusCode, 200)
  })

  it('watches only so many names, and forgets the one not called for longest', async t => {
    const { dispatcher, source } = await meshOfOne(t, undefined, { maxOrigins: 2, environment: { configTimeoutMs: 50 } })
    source.set({ targets: { b: makeTarget([makeVirtualHost([makeRoute('reviews-v1')])]) } })
    source.set({ targets: { c: makeTarget([makeVirtualHost([makeRoute('reviews-v1')])]) } })
    for (const host of ['reviews', 'b', 'reviews', 'c']) await (await request(`http://${host}/`, { dispatcher })).body.dump()
    assert.deepEqual(source.calls, ['watch reviews', 'watch b', 'watch c', 'unwatch b'])
  })
})
