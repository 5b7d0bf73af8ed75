import assert from 'node:assert/strict'
import { once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import { describe, it, type TestContext } from 'node:test'
import { request } from 'undici'
import type { ClusterConfig } from '../../../src/discovery/model/cluster.ts'
import type { ForwardAction, Route, VirtualHost } from '../../../src/discovery/model/route.ts'
import { isMeshError, type MeshError, type MeshErrorCode } from '../../../src/errors.ts'
import { defaultThresholds } from '../../../src/policies/circuit-breaker.ts'
import { noHeaderMutations } from '../../../src/policies/header-mutation.ts'
import type { ResponseFlag } from '../../../src/telemetry/response-flag.ts'
import { makeCluster, makeRetryPolicy, makeRoute, makeTarget, makeVirtualHost } from '../../support/fake-config-source.ts'
import { type Answer, startUpstream, unusedPort } from '../../support/http-upstream.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { RecordingHandler } from '../../support/recording-handler.ts'
import { makeMesh, type TestMeshOptions } from '../../support/test-mesh.ts'
import { until } from '../../support/until.ts'

interface Setup extends TestMeshOptions {
  readonly answer?: Answer
  readonly action?: Partial<ForwardAction>
  readonly route?: Partial<Route>
  readonly virtualHost?: Partial<VirtualHost>
  readonly cluster?: Partial<ClusterConfig>
  readonly endpoints?: readonly string[]
}

/** A mesh whose host `reviews` leads to cluster `reviews-v1`. */
async function meshOf(t: TestContext, { answer, action, route, virtualHost, cluster, endpoints, ...options }: Setup = {}) {
  const upstream = await startUpstream(t, answer)
  const mesh = makeMesh(t, options)
  mesh.source.set({
    targets: { reviews: makeTarget([makeVirtualHost([makeRoute('reviews-v1', action, route)], virtualHost)]) },
    clusters: [makeCluster('reviews-v1', endpoints ?? [upstream.address], cluster)],
  })
  return { ...mesh, upstream }
}

async function meshError(
  call: Promise<unknown>,
  code: MeshErrorCode,
  flag: ResponseFlag,
  statusCode: number,
): Promise<MeshError> {
  const error: unknown = await call.then(
    () => assert.fail('must be an error'),
    thrown => thrown,
  )
  assert.ok(isMeshError(error), String(error))
  assert.deepEqual({ code: error.code, flag: error.flag, statusCode: error.statusCode }, { code, flag, statusCode })
  return error
}

/** Answers in turn; the last one for ever. */
function inTurn(...answers: Answer[]): Answer {
  let next = 0
  return (...given) => answers[Math.min(next++, answers.length - 1)]?.(...given)
}

const status =
  (statusCode: number, body = ''): Answer =>
  (_seen, response) =>
    response.writeHead(statusCode).end(body)

/** undici takes a connection back a turn after the answer's end; before that it opens another. */
async function connectionIsIdle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve))
}

const reset: Answer = (_seen, _response, raw) => raw.socket.destroy()
const silent: Answer = () => {}

describe('an exchange that fails', () => {
  it('no route', async t => {
    const { dispatcher, telemetry } = await meshOf(t, { virtualHost: { domains: ['other'] } })
    const error = await meshError(request('http://reviews/x', { dispatcher }), 'MESH_ERR_NO_ROUTE', 'NR', 404)
    assert.equal(error.message, 'host reviews: no virtual host of routes serves it')
    assert.equal(telemetry.finished[0]?.outcome.flag, 'NR')
    assert.equal(telemetry.finished[0]?.labels.clusterName, '')
  })

  it('a cluster that does not exist', async t => {
    const { dispatcher } = await meshOf(t, { action: { clusters: { kind: 'cluster', name: 'gone' } } })
    const error = await meshError(request('http://reviews/', { dispatcher }), 'MESH_ERR_CLUSTER_NOT_FOUND', 'NC', 503)
    assert.equal(error.message, 'cluster gone, named by route everything of virtual host everything: not found')
    assert.equal(error.cluster, 'gone')
  })

  it('a cluster that was refused names the reason', async t => {
    const { dispatcher, source } = await meshOf(t)
    source.replace({
      ...source.current,
      clusters: new Map([['reviews-v1', { kind: 'failed', reason: 'invalid', message: 'Cluster "reviews-v1": bad' }]]),
    })
    const error = await meshError(request('http://reviews/', { dispatcher }), 'MESH_ERR_CLUSTER_NOT_FOUND', 'NC', 503)
    assert.equal(error.message, 'cluster reviews-v1, named by route everything of virtual host everything: bad')
  })

  it('no endpoints', async t => {
    const { dispatcher } = await meshOf(t, { endpoints: [] })
    const error = await meshError(request('http://reviews/', { dispatcher }), 'MESH_ERR_NO_ENDPOINT', 'UH', 503)
    assert.match(error.message, /^cluster reviews-v1: no healthy upstream/)
  })

  it('a connection that is refused', async t => {
    const port = await unusedPort()
    const { dispatcher, telemetry } = await meshOf(t, { endpoints: [`127.0.0.1:${port}`] })
    const error = await meshError(request('http://reviews/', { dispatcher }), 'MESH_ERR_CONNECT', 'UF', 503)
    assert.equal(error.message, `cluster reviews-v1: endpoint 127.0.0.1:${port}: connect ECONNREFUSED`)
    assert.equal(error.endpoint, `127.0.0.1:${port}`)
    assert.equal(error.attempts, 1)
    assert.equal(telemetry.finished[0]?.outcome.endpointAddress, `127.0.0.1:${port}`)
  })

  it('a reset before the answer', async t => {
    const { dispatcher } = await meshOf(t, { answer: reset })
    const error = await meshError(request('http://reviews/', { dispatcher }), 'MESH_ERR_UPSTREAM_RESET', 'UC', 503)
    assert.match(error.message, /^cluster reviews-v1: endpoint 127\.0\.0\.1:\d+: other side closed$/)
  })

  it('a reset in the middle of the answer is never retried', async t => {
    const answer: Answer = (_seen, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('half')
      setImmediate(() => response.destroy())
    }
    const { dispatcher, upstream } = await meshOf(t, { answer, action: { retryPolicy: makeRetryPolicy() } })
    const { statusCode, body } = await request('http://reviews/', { dispatcher })
    assert.equal(statusCode, 200)
    await meshError(body.text(), 'MESH_ERR_UPSTREAM_RESET', 'UC', 503)
    assert.equal(upstream.seen.length, 1)
  })

  it('an authority that is unknown passes to DNS, unless hosts are named', async t => {
    const { dispatcher, source } = await meshOf(t, { hosts: { kind: 'patterns', patterns: ['nosuch'] } })
    source.set({ targets: { nosuch: { kind: 'failed', reason: 'does-not-exist', message: 'there is no listener' } } })
    const error = await meshError(request('http://nosuch/', { dispatcher }), 'MESH_ERR_UNKNOWN_HOST', 'NR', 502)
    assert.equal(error.message, 'host nosuch: not in the mesh: there is no listener')
  })

  it('as local replies, when asked for: what a sidecar answers', async t => {
    const replies: readonly [Setup, number, string, Record<string, string>][] = [
      [{ virtualHost: { domains: ['other'] } }, 404, '', {}],
      [{ action: { clusters: { kind: 'cluster', name: 'gone' } } }, 503, '', {}],
      [{ endpoints: [] }, 503, 'no healthy upstream', { 'content-type': 'text/plain' }],
      [{ answer: silent, action: { timeoutMs: 20 } }, 504, 'upstream request timeout', {}],
      [
        { answer: reset },
        503,
        'upstream connect error or disconnect/reset before headers. reset reason: connection termination',
        {},
      ],
      [
        { cluster: { circuitBreakers: { default: { ...defaultThresholds, maxRequests: 0 }, high: defaultThresholds } } },
        503,
        'upstream connect error or disconnect/reset before headers. reset reason: overflow',
        { 'x-envoy-overloaded': 'true' },
      ],
    ]
    for (const [setup, statusCode, text, headers] of replies) {
      const { dispatcher } = await meshOf(t, { ...setup, environment: { localReplies: true } })
      const reply = await request('http://reviews/', { dispatcher })
      assert.equal(reply.statusCode, statusCode)
      assert.equal(await reply.body.text(), text)
      assert.equal(reply.headers['content-length'], String(text.length))
      for (const [name, value] of Object.entries(headers)) assert.equal(reply.headers[name], value)
    }
  })
})

describe('answers of the mesh itself', () => {
  it('redirects', async t => {
    const action: Route['action'] = {
      kind: 'redirect',
      status: 301,
      scheme: 'https',
      host: 'elsewhere',
      port: undefined,
      path: undefined,
      stripQuery: false,
    }
    const { dispatcher, upstream, telemetry } = await meshOf(t, { route: { action } })
    const { statusCode, headers, body } = await request('http://reviews/a?b=1', { dispatcher })
    assert.equal(statusCode, 301)
    assert.equal(headers.location, 'https://elsewhere/a?b=1')
    assert.equal(await body.text(), '')
    assert.equal(upstream.seen.length, 0)
    assert.equal(telemetry.finished[0]?.outcome.statusCode, 301)
  })

  it('responds directly, with the response headers of the route, and to HEAD without the body', async t => {
    const route: Partial<Route> = {
      action: { kind: 'direct-response', status: 418, body: 'teapot' },
      headerMutations: {
        ...noHeaderMutations,
        responseAdd: [{ name: 'x-pot', value: 'tea', action: 'overwrite-if-exists-or-add', keepEmptyValue: false }],
      },
    }
    const { dispatcher } = await meshOf(t, { route })
    const { statusCode, headers, body } = await request('http://reviews/', { dispatcher })
    assert.equal(statusCode, 418)
    assert.equal(headers['x-pot'], 'tea')
    assert.equal(await body.text(), 'teapot')
    const head = await request('http://reviews/', { dispatcher, method: 'HEAD' })
    assert.equal(head.headers['content-length'], '6')
    assert.equal(await head.body.text(), '')
  })

  it('is never given from inside dispatch, and can be aborted between', async t => {
    const { dispatcher } = await meshOf(t, { route: { action: { kind: 'direct-response', status: 200, body: 'x' } } })
    const handler = new RecordingHandler()
    dispatcher.dispatch({ origin: 'http://reviews', path: '/', method: 'GET' }, handler)
    assert.deepEqual(handler.calls, ['requestStart'])
    const reason = new Error('no more')
    handler.controller?.abort(reason)
    await handler.done
    assert.deepEqual(handler.calls, ['requestStart', 'responseError'])
    assert.equal(handler.error, reason)
  })
})

describe('what is sent', () => {
  it('path and host rewritten, headers changed, the originals kept', async t => {
    const { dispatcher, upstream } = await meshOf(t, {
      action: { pathRewrite: { kind: 'prefix', value: '/v1/' }, hostRewrite: { kind: 'literal', value: 'inner' } },
      route: {
        headerMutations: {
          ...noHeaderMutations,
          requestAdd: [{ name: 'x-user', value: '%REQ(x-id)%', action: 'overwrite-if-exists-or-add', keepEmptyValue: false }],
          requestRemove: ['x-secret'],
        },
      },
    })
    await (await request('http://reviews/a', { dispatcher, headers: { 'x-id': '7', 'X-Secret': 's' } })).body.dump()
    const seen = upstream.seen[0]
    assert.equal(seen?.url, '/v1/a')
    assert.equal(seen?.headers.host, 'inner')
    assert.equal(seen?.headers['x-envoy-original-path'], '/a')
    assert.equal(seen?.headers['x-envoy-original-host'], 'reviews')
    assert.equal(seen?.headers['x-user'], '7')
    assert.equal(seen?.headers['x-secret'], undefined)
  })

  it('the trace and the attempt count, in place of what the caller sent', async t => {
    const { dispatcher, upstream, telemetry } = await meshOf(t, {
      answer: inTurn(status(503), status(200)),
      action: { retryPolicy: makeRetryPolicy() },
      virtualHost: { includeRequestAttemptCount: true, includeAttemptCountInResponse: true },
    })
    telemetry.traced = true
    const { headers } = await request('http://reviews/', { dispatcher, headers: { Traceparent: 'old' } })
    assert.deepEqual(
      upstream.seen.map(seen => seen.headers['x-envoy-attempt-count']),
      ['1', '2'],
    )
    assert.equal(upstream.seen[1]?.headers.traceparent, '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')
    assert.equal(upstream.seen[1]?.headers.tracestate, 'vendor=1')
    assert.equal(headers['x-envoy-attempt-count'], '2')
    assert.deepEqual(
      telemetry.events.map(event => event.replace(/ 127.*/, '')),
      ['attempt 1', 'retry 1 503 503', 'attempt 2'],
    )
  })

  it('the Host header decides the virtual host, the origin the listener', async t => {
    const { dispatcher, upstream } = await meshOf(t, { virtualHost: { domains: ['inner'] } })
    await (await request('http://reviews/', { dispatcher, headers: { host: 'inner' } })).body.dump()
    assert.equal(upstream.seen[0]?.headers.host, 'inner')
  })
})

describe('retries', () => {
  it('the last real answer is the caller’s once they are spent', async t => {
    const answer = inTurn(status(503, 'one'), status(503, 'two'), status(503, 'three'))
    const { dispatcher, upstream, telemetry } = await meshOf(t, { answer, action: { retryPolicy: makeRetryPolicy() } })
    const { statusCode, body } = await request('http://reviews/', { dispatcher })
    assert.equal(statusCode, 503)
    assert.equal(await body.text(), 'three')
    assert.equal(upstream.seen.length, 3)
    const outcome = telemetry.finished[0]?.outcome
    assert.equal(outcome?.attempts, 3)
    assert.equal(outcome?.flag, 'URX')
    assert.equal(telemetry.finished.length, 1)
  })

  it('the handler hears of the last attempt only', async t => {
    const { dispatcher } = await meshOf(t, {
      answer: inTurn(status(500, 'no'), reset, status(200, 'yes')),
      action: { retryPolicy: makeRetryPolicy() },
    })
    const handler = new RecordingHandler()
    dispatcher.dispatch({ origin: 'http://reviews', path: '/', method: 'GET' }, handler)
    await handler.done
    assert.equal(handler.body, 'yes')
    assert.deepEqual(
      handler.calls.filter(call => call !== 'responseStarted'),
      ['requestStart', 'requestSent', 'responseStart 200', 'responseEnd'],
    )
  })

  it('goes to another endpoint when the first refuses the connection', async t => {
    const port = await unusedPort()
    const upstream = await startUpstream(t)
    const { dispatcher } = await meshOf(t, {
      endpoints: [`127.0.0.1:${port}`, upstream.address],
      action: { retryPolicy: makeRetryPolicy({ retryOn: ['connect-failure'], numRetries: 1 }) },
    })
    for (let call = 0; call < 6; call++) {
      const { statusCode, body } = await request('http://reviews/', { dispatcher, method: 'POST', body: 'x' })
      await body.dump()
      assert.equal(statusCode, 200)
    }
  })

  const bodies: readonly [string, () => unknown][] = [
    ['a string', () => 'hello'],
    ['bytes', () => Buffer.from('hello')],
    ['an async generator', () => Readable.from(['he', 'llo'])[Symbol.asyncIterator]()],
    ['a Readable', () => Readable.from(['he', 'llo'])],
    ['a web stream', () => new Blob(['hello']).stream()],
    ['a Blob', () => new Blob(['hello'])],
  ]
  for (const [name, make] of bodies) {
    it(`sends ${name} again, whole`, async t => {
      const { dispatcher, upstream } = await meshOf(t, {
        answer: inTurn(status(503), reset, status(200)),
        action: { retryPolicy: makeRetryPolicy() },
      })
      const { statusCode } = await request('http://reviews/', { dispatcher, method: 'PUT', body: make() as never })
      assert.equal(statusCode, 200)
      assert.deepEqual(
        upstream.seen.map(seen => seen.body),
        ['hello', 'hello', 'hello'],
      )
    })
  }

  it('never sends a body again that is over the cap', async t => {
    const { dispatcher, upstream } = await meshOf(t, {
      answer: status(503),
      action: { retryPolicy: makeRetryPolicy() },
      environment: { maxReplayBytes: 10 },
    })
    const { statusCode } = await request('http://reviews/', {
      dispatcher,
      method: 'PUT',
      body: Readable.from(['12345', '67890', 'x']),
    })
    assert.equal(statusCode, 503)
    assert.deepEqual(
      upstream.seen.map(seen => seen.body),
      ['1234567890x'],
    )
  })

  it('keeps the content-length that the caller stated', async t => {
    const { dispatcher, upstream } = await meshOf(t, {
      answer: inTurn(status(503), status(200)),
      action: { retryPolicy: makeRetryPolicy() },
    })
    const headers = { 'content-length': '5' }
    await request('http://reviews/', { dispatcher, method: 'PUT', headers, body: Readable.from(['he', 'llo']) })
    for (const seen of upstream.seen) {
      assert.equal(seen.headers['content-length'], '5')
      assert.equal(seen.headers['transfer-encoding'], undefined)
      assert.equal(seen.body, 'hello')
    }
    assert.equal(upstream.seen.length, 2)
  })

  it('hands on the error of the caller’s body, and does not retry it', async t => {
    const { dispatcher, upstream, telemetry } = await meshOf(t, {
      action: { retryPolicy: makeRetryPolicy({ retryOn: ['5xx', 'reset'] }) },
    })
    const failure = new Error('disk')
    async function* broken() {
      yield 'a'
      throw failure
    }
    await assert.rejects(request('http://reviews/', { dispatcher, method: 'PUT', body: broken() as never }), failure)
    assert.equal(upstream.seen.length, 0)
    assert.equal(telemetry.finished[0]?.outcome.attempts, 1)
  })

  it('keeps the connection of a short discarded answer, and closes that of a long one', async t => {
    const short = await meshOf(t, {
      answer: inTurn(status(503, 'short'), status(200)),
      action: { retryPolicy: makeRetryPolicy() },
    })
    await (await request('http://reviews/', { dispatcher: short.dispatcher })).body.dump()
    assert.equal(short.upstream.seen[0]?.connection, short.upstream.seen[1]?.connection)
    const long = await meshOf(t, {
      answer: inTurn(status(503, 'x'.repeat(100_000)), status(200)),
      action: { retryPolicy: makeRetryPolicy() },
    })
    await (await request('http://reviews/', { dispatcher: long.dispatcher })).body.dump()
    assert.notEqual(long.upstream.seen[0]?.connection, long.upstream.seen[1]?.connection)
  })

  it('an abort in backoff settles at once, and nothing more is sent', async t => {
    const clock = new ManualClock()
    const { dispatcher, upstream, telemetry } = await meshOf(t, {
      clock,
      random: () => 0.99,
      answer: status(503),
      action: { retryPolicy: makeRetryPolicy({ backOff: { baseIntervalMs: 60_000, maxIntervalMs: 60_000 } }) },
    })
    telemetry.traced = true
    const handler = new RecordingHandler()
    dispatcher.dispatch({ origin: 'http://reviews', path: '/', method: 'GET' }, handler)
    await until(() => telemetry.events.includes('retry 1 503 503'))
    const reason = new Error('enough')
    handler.controller?.abort(reason)
    await handler.done
    assert.equal(handler.error, reason)
    clock.advance(120_000)
    await new Promise(resolve => setImmediate(resolve))
    assert.equal(upstream.seen.length, 1)
    assert.equal(telemetry.finished[0]?.outcome.flag, 'DC')
    assert.equal(clock.pendingTimers, 0)
  })

  it('hands over no more than max_retries at once', async t => {
    const breaker = { ...defaultThresholds, maxRetries: 0 }
    const { dispatcher, upstream, telemetry } = await meshOf(t, {
      answer: status(503),
      action: { retryPolicy: makeRetryPolicy() },
      cluster: { circuitBreakers: { default: breaker, high: breaker } },
    })
    assert.equal((await request('http://reviews/', { dispatcher })).statusCode, 503)
    assert.equal(upstream.seen.length, 1)
    assert.equal(telemetry.finished[0]?.outcome.flag, 'UO')
  })

  it('a kept-alive connection found closed costs no retry of the policy', async t => {
    let closesNext = false
    const answer: Answer = (_seen, response, raw) => {
      if (closesNext) {
        closesNext = false
        raw.socket.destroy()
      } else {
        response.end('ok')
      }
    }
    const { dispatcher, upstream, telemetry } = await meshOf(t, { answer })
    await (await request('http://reviews/', { dispatcher })).body.dump()
    await connectionIsIdle()
    closesNext = true
    assert.equal(await (await request('http://reviews/', { dispatcher })).body.text(), 'ok')
    assert.equal(upstream.seen.length, 3)
    await connectionIsIdle()
    closesNext = true
    await meshError(request('http://reviews/', { dispatcher, method: 'POST' }), 'MESH_ERR_UPSTREAM_RESET', 'UC', 503)
    assert.equal(telemetry.finished.length, 3)
  })
})

describe('timeouts', () => {
  it('of the route: one for all attempts, never retried', async t => {
    const { dispatcher, upstream } = await meshOf(t, {
      answer: silent,
      action: { timeoutMs: 40, retryPolicy: makeRetryPolicy() },
    })
    const error = await meshError(request('http://reviews/', { dispatcher }), 'MESH_ERR_DEADLINE', 'UT', 504)
    assert.match(error.message, /upstream request timeout after \d+ ms$/)
    assert.equal(upstream.seen.length, 1)
  })

  it('of the route: in the middle of the answer too', async t => {
    const { dispatcher } = await meshOf(t, {
      answer: (_seen, response) => response.writeHead(200).write('half'),
      action: { timeoutMs: 60 },
    })
    const { body } = await request('http://reviews/', { dispatcher })
    await meshError(body.text(), 'MESH_ERR_DEADLINE', 'UT', 504)
  })

  it('of the route: from the moment a streamed request is sent', async t => {
    const { dispatcher } = await meshOf(t, { answer: status(200), action: { timeoutMs: 60 } })
    async function* slow() {
      yield 'a'
      await new Promise(resolve => setTimeout(resolve, 120))
      yield 'b'
    }
    assert.equal((await request('http://reviews/', { dispatcher, method: 'PUT', body: slow() as never })).statusCode, 200)
  })

  it('of the request that it is made for, where that ends first, and its upstream is told', async t => {
    const clock = new ManualClock()
    const timeouts = { timeoutMs: 5000, retryPolicy: makeRetryPolicy({ perTryTimeoutMs: 1000 }) }
    const { dispatcher, telemetry, upstream } = await meshOf(t, { clock, answer: silent, action: timeouts })
    const expected = () => upstream.seen.map(({ headers }) => headers['x-envoy-expected-rq-timeout-ms'])
    const headers = { 'x-envoy-expected-rq-timeout-ms': '9' }
    clock.advance(100)
    telemetry.requestDeadlineAt = 400
    const failed = meshError(request('http://reviews/', { dispatcher, headers }), 'MESH_ERR_DEADLINE', 'UT', 504)
    await until(() => upstream.seen.length === 1)
    telemetry.requestDeadlineAt = 50_000
    void request('http://reviews/', { dispatcher, headers }).catch(() => {})
    await until(() => upstream.seen.length === 2)
    assert.deepEqual(expected(), ['300', '1000'])
    await clock.advanceAsync(299)
    assert.equal(telemetry.finished.length, 0)
    await clock.advanceAsync(10)
    await failed
  })

  it('of a request whose time is over: nothing is sent', async t => {
    const clock = new ManualClock()
    const { dispatcher, telemetry, upstream } = await meshOf(t, { clock })
    clock.advance(100)
    telemetry.requestDeadlineAt = 100
    await meshError(request('http://reviews/', { dispatcher }), 'MESH_ERR_DEADLINE', 'UT', 504)
    assert.deepEqual([telemetry.finished[0]?.outcome.attempts, upstream.seen.length], [0, 0])
  })

  it('per try: the next attempt answers', async t => {
    const { dispatcher, upstream, telemetry } = await meshOf(t, {
      answer: inTurn(silent, status(200, 'late')),
      action: { timeoutMs: 5000, retryPolicy: makeRetryPolicy({ perTryTimeoutMs: 30 }) },
    })
    assert.equal(await (await request('http://reviews/', { dispatcher })).body.text(), 'late')
    assert.equal(upstream.seen.length, 2)
    assert.equal(telemetry.finished[0]?.outcome.attempts, 2)
  })

  for (const isHedging of [false, true]) {
    it(`per try${isHedging ? ', hedging' : ''}: from the moment a streamed request is sent`, async t => {
      const clock = new ManualClock()
      const { dispatcher, upstream, telemetry } = await meshOf(t, {
        clock,
        answer: inTurn(silent, status(200, 'late')),
        action: {
          retryPolicy: makeRetryPolicy({ perTryTimeoutMs: 50, numRetries: 1 }),
          hedgeOnPerTryTimeout: isHedging,
        },
      })
      const arrived = once(upstream.server, 'request')
      const body = new PassThrough()
      body.write('a')
      const answer = request('http://reviews/', { dispatcher, method: 'PUT', body })
      await arrived
      await clock.advanceAsync(1000)
      body.end('b')
      await until(() => upstream.seen.length > 0, connectionIsIdle)
      await clock.advanceAsync(200)
      assert.equal(await (await answer).body.text(), 'late')
      assert.equal(telemetry.finished[0]?.outcome.attempts, 2)
      assert.deepEqual(
        upstream.seen.map(seen => seen.body),
        ['ab', 'ab'],
      )
    })
  }

  it('per try: spent', async t => {
    const { dispatcher, upstream } = await meshOf(t, {
      answer: silent,
      action: { retryPolicy: makeRetryPolicy({ perTryTimeoutMs: 20, numRetries: 1 }) },
    })
    await meshError(request('http://reviews/', { dispatcher }), 'MESH_ERR_PER_TRY_TIMEOUT', 'UT', 504)
    assert.equal(upstream.seen.length, 2)
  })

  it('per try: over once the answer has begun', async t => {
    const { dispatcher } = await meshOf(t, {
      answer: (_seen, response) => {
        response.writeHead(200).write('a')
        setTimeout(() => response.end('b'), 80)
      },
      action: { retryPolicy: makeRetryPolicy({ perTryTimeoutMs: 40 }) },
    })
    assert.equal(await (await request('http://reviews/', { dispatcher })).body.text(), 'ab')
  })

  it('of silence: before the answer and in the middle of it, not while the caller holds it back', async t => {
    const { dispatcher } = await meshOf(t, {
      answer: (seen, response) => {
        if (seen.url === '/half') response.write('half')
      },
      action: { idleTimeoutMs: 20 },
    })
    const error = await meshError(request('http://reviews/none', { dispatcher }), 'MESH_ERR_DEADLINE', 'SI', 504)
    assert.match(error.message, /: silent for 20 ms$/)
    const { body } = await request('http://reviews/half', { dispatcher })
    await meshError(body.text(), 'MESH_ERR_DEADLINE', 'SI', 504)
    const held = new RecordingHandler()
    held.onStart = controller => controller.pause()
    dispatcher.dispatch({ origin: 'http://reviews', path: '/half', method: 'GET' }, held)
    await new Promise(resolve => setTimeout(resolve, 120))
    assert.equal(held.error, null)
    held.controller?.resume()
    await held.done
    assert.ok(isMeshError(held.error))
  })

  it('of silence: not while something comes', async t => {
    const { dispatcher } = await meshOf(t, {
      answer: (_seen, response) => {
        let left = 8
        const timer = setInterval(() => {
          response.write('x')
          if (--left > 0) return
          clearInterval(timer)
          response.end()
        }, 20)
      },
      action: { idleTimeoutMs: 60 },
    })
    const { body } = await request('http://reviews/', { dispatcher })
    assert.equal(await body.text(), 'xxxxxxxx')
  })

  it('of the whole life', async t => {
    const { dispatcher } = await meshOf(t, {
      answer: silent,
      action: {
        maxStreamDuration: { maxStreamDurationMs: 30, grpcTimeoutHeaderMaxMs: undefined, grpcTimeoutHeaderOffsetMs: undefined },
      },
    })
    await meshError(request('http://reviews/', { dispatcher }), 'MESH_ERR_DEADLINE', 'DT', 504)
  })
})

describe('circuit breakers', () => {
  it('refuses requests over the threshold, and takes them again after', async t => {
    let answerAll = () => {}
    const held = new Promise<void>(resolve => {
      answerAll = resolve
    })
    const breaker = { ...defaultThresholds, maxRequests: 2 }
    const { dispatcher, upstream } = await meshOf(t, {
      answer: (_seen, response) => void held.then(() => response.end()),
      cluster: { circuitBreakers: { default: breaker, high: defaultThresholds } },
    })
    const calls = [request('http://reviews/', { dispatcher }), request('http://reviews/', { dispatcher })]
    const error = await meshError(request('http://reviews/', { dispatcher }), 'MESH_ERR_OVERFLOW', 'UO', 503)
    assert.match(error.message, /^cluster reviews-v1: too many requests/)
    answerAll()
    for (const call of calls) await (await call).body.dump()
    await (await request('http://reviews/', { dispatcher })).body.dump()
    assert.equal(upstream.seen.length, 3)
  })
})

describe('waiting for configuration', () => {
  it('a request waits until its host is resolved', async t => {
    const upstream = await startUpstream(t)
    const { dispatcher, source } = makeMesh(t)
    const call = request('http://reviews/', { dispatcher })
    assert.deepEqual(source.calls, ['watch reviews'])
    source.set({
      targets: { reviews: makeTarget([makeVirtualHost([makeRoute('c')])]) },
      clusters: [makeCluster('c', [upstream.address])],
    })
    assert.equal((await call).statusCode, 200)
  })

  it('has a deadline', async t => {
    const clock = new ManualClock()
    const { dispatcher, plane } = makeMesh(t, { clock, environment: { configTimeoutMs: 1000 } })
    const call = request('http://reviews/', { dispatcher })
    clock.advance(1000)
    await meshError(call, 'MESH_ERR_CONFIG_TIMEOUT', 'NFCF', 503)
    assert.equal(plane.targets.get('reviews')?.pending.length, 0)
  })

  it('is bounded', async t => {
    const { dispatcher } = makeMesh(t, { maxPending: 1 })
    const first = request('http://reviews/', { dispatcher })
    await meshError(request('http://reviews/', { dispatcher }), 'MESH_ERR_OVERFLOW', 'UO', 503)
    await dispatcher.close()
    await meshError(first, 'MESH_ERR_CLOSED', '', 0)
  })

  it('can be aborted', async t => {
    const { dispatcher, plane } = makeMesh(t)
    const controller = new AbortController()
    const call = request('http://reviews/', { dispatcher, signal: controller.signal })
    const reason = new Error('no time')
    controller.abort(reason)
    await assert.rejects(call, reason)
    assert.equal(plane.targets.get('reviews')?.pending.length, 0)
  })
})
