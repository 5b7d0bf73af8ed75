import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Dispatcher, request } from 'undici'
import { isMeshError } from '../../src/errors.ts'
import { defaultThresholds } from '../../src/policies/circuit-breaker.ts'
import {
  makeAssignment,
  makeCluster,
  makeEndpoint,
  makeOutlierDetection,
  makeRetryPolicy,
  makeRoute,
  makeTarget,
  makeVirtualHost,
} from '../support/fake-config-source.ts'
import { startUpstream, unusedPort } from '../support/http-upstream.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { makeMesh } from '../support/test-mesh.ts'
import { until } from '../support/until.ts'

const reviewsTo = (cluster: string) => ({ reviews: makeTarget([makeVirtualHost([makeRoute(cluster)])]) })

async function call(dispatcher: Dispatcher): Promise<string> {
  const { body } = await request('http://reviews/', { dispatcher })
  return body.text()
}

describe('DataPlane', () => {
  it('follows a change of endpoints without touching the router', async t => {
    const [one, two] = [await startUpstream(t), await startUpstream(t)]
    const { source, dispatcher, plane } = makeMesh(t)
    source.set({ targets: reviewsTo('c'), clusters: [makeCluster('c', [one.address])] })
    assert.equal(await call(dispatcher), String(one.port))
    const router = plane.targets.get('reviews')?.router
    const state = source.current.clusters.get('c')
    assert.equal(state?.kind, 'ready')
    source.set({ clusters: [{ ...state, assignment: makeAssignment('c', [{ endpoints: [makeEndpoint(two.address)] }]) }] })
    assert.equal(await call(dispatcher), String(two.port))
    assert.equal(plane.targets.get('reviews')?.router, router)
  })

  it('lets what is in flight on a removed endpoint finish, and closes its connections then', async t => {
    let finish = () => {}
    const [one, two] = [
      await startUpstream(t, (_seen, response) => {
        response.write('half')
        finish = () => response.end('whole')
      }),
      await startUpstream(t),
    ]
    const { source, dispatcher } = makeMesh(t)
    source.set({ targets: reviewsTo('c'), clusters: [makeCluster('c', [one.address])] })
    const { body } = await request('http://reviews/', { dispatcher })
    const state = source.current.clusters.get('c')
    assert.equal(state?.kind, 'ready')
    source.set({ clusters: [{ ...state, assignment: makeAssignment('c', [{ endpoints: [makeEndpoint(two.address)] }]) }] })
    assert.equal(await call(dispatcher), String(two.port))
    assert.equal(one.sockets.size, 1)
    finish()
    assert.equal(await body.text(), 'halfwhole')
    const [socket] = one.sockets
    if (socket !== undefined) await new Promise(resolve => socket.once('close', resolve))
    assert.equal(one.sockets.size, 0)
  })

  it('switches a route to another cluster with no failed call', async t => {
    const [blue, green] = [await startUpstream(t), await startUpstream(t)]
    const { source, dispatcher } = makeMesh(t)
    source.set({
      targets: reviewsTo('blue'),
      clusters: [makeCluster('blue', [blue.address]), makeCluster('green', [green.address])],
    })
    let stop = false
    const answers: string[] = []
    const lane = async () => {
      while (!stop) answers.push(await call(dispatcher))
    }
    const lanes = [lane(), lane(), lane(), lane()]
    await until(() => answers.length >= 50)
    source.set({ targets: reviewsTo('green') })
    source.replace({
      ...source.current,
      clusters: new Map([...source.current.clusters].filter(([name]) => name === 'green')),
    })
    const switched = answers.length
    await until(() => answers.length >= switched + 50)
    stop = true
    await Promise.all(lanes)
    assert.ok(answers.slice(switched + 4).every(port => port === String(green.port)))
  })

  it('keeps the connections of endpoints that stay when the cluster’s policies change', async t => {
    const upstream = await startUpstream(t)
    const { source, dispatcher } = makeMesh(t)
    source.set({ targets: reviewsTo('c'), clusters: [makeCluster('c', [upstream.address])] })
    await call(dispatcher)
    for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve))
    const breaker = { ...defaultThresholds, maxRequests: 5 }
    source.set({ clusters: [makeCluster('c', [upstream.address], { circuitBreakers: { default: breaker, high: breaker } })] })
    await call(dispatcher)
    assert.equal(upstream.seen[0]?.connection, upstream.seen[1]?.connection)
  })

  it('takes an aggregate’s first cluster that has a usable endpoint', async t => {
    const [one, two] = [await startUpstream(t), await startUpstream(t)]
    const { source, dispatcher } = makeMesh(t)
    const aggregate = makeCluster('both', [], { discovery: { kind: 'aggregate', clusters: ['first', 'second'] } })
    source.set({
      targets: reviewsTo('both'),
      clusters: [aggregate, makeCluster('first', [one.address]), makeCluster('second', [two.address])],
    })
    assert.equal(await call(dispatcher), String(one.port))
    const sick = makeEndpoint({ address: '127.0.0.1', port: one.port, health: 'unhealthy' })
    source.set({ clusters: [makeCluster('first', [sick])] })
    assert.equal(await call(dispatcher), String(two.port))
  })

  it('resolves a DNS cluster before the first request goes on', async t => {
    const upstream = await startUpstream(t)
    const { source, dispatcher } = makeMesh(t, { lookup: async name => (name === 'db' ? ['127.0.0.1'] : []) })
    const assignment = makeAssignment('c', [{ endpoints: [makeEndpoint({ address: 'db', port: upstream.port })] }])
    source.set({
      targets: reviewsTo('c'),
      clusters: [makeCluster('c', [], { discovery: { kind: 'strict-dns', assignment, refreshRateMs: 5000 } })],
    })
    assert.equal(await call(dispatcher), String(upstream.port))
  })

  it('fails only the authority whose routes cannot be compiled, and keeps a good one in force', async t => {
    const upstream = await startUpstream(t)
    const { source, dispatcher } = makeMesh(t)
    const bad = makeTarget([
      makeVirtualHost([
        makeRoute(
          'c',
          {},
          {
            match: {
              path: { kind: 'regex', regex: '(' },
              headers: [],
              queryParameters: [],
              runtimeFraction: undefined,
              grpcOnly: false,
            },
          },
        ),
      ]),
    ])
    source.set({ targets: { ...reviewsTo('c'), bad }, clusters: [makeCluster('c', [upstream.address])] })
    await assert.rejects(request('http://bad/', { dispatcher }), error => isMeshError(error) && error.code === 'MESH_ERR_CONFIG')
    assert.equal(await call(dispatcher), String(upstream.port))
    source.set({ targets: { reviews: bad } })
    assert.equal(await call(dispatcher), String(upstream.port))
  })

  it('binds telemetry once for each authority, route and cluster', async t => {
    const upstream = await startUpstream(t)
    const { source, dispatcher, telemetry } = makeMesh(t)
    const shared = makeTarget([makeVirtualHost([makeRoute('c')])])
    source.set({ targets: { reviews: shared, ratings: shared }, clusters: [makeCluster('c', [upstream.address])] })
    for (let turn = 0; turn < 3; turn++) {
      for (const host of ['reviews', 'ratings']) await (await request(`http://${host}/`, { dispatcher })).body.dump()
    }
    assert.deepEqual(
      telemetry.bound.map(({ authority }) => authority),
      ['reviews', 'ratings'],
    )
  })

  it('ejects an endpoint after consecutive failures, tells of it, and brings it back at a sweep', async t => {
    let isSick = true
    const clock = new ManualClock()
    const sick = await startUpstream(t, (_seen, response) => response.writeHead(isSick ? 503 : 200).end())
    const sound = await startUpstream(t)
    const events: string[] = []
    const { source, dispatcher } = makeMesh(t, {
      clock,
      onEvent: ({ kind, endpoint, reason }) => events.push(`${kind} ${endpoint} ${reason}`),
    })
    const outlierDetection = makeOutlierDetection({
      consecutive5xx: 3,
      maxEjectionPercent: 50,
      intervalMs: 1000,
      baseEjectionTimeMs: 2500,
    })
    source.set({ targets: reviewsTo('c'), clusters: [makeCluster('c', [sick.address, sound.address], { outlierDetection })] })
    for (let turn = 0; turn < 6; turn++) await call(dispatcher)
    assert.equal(sick.seen.length, 3)
    for (let turn = 0; turn < 4; turn++) await call(dispatcher)
    assert.equal(sick.seen.length, 3)
    assert.deepEqual(events, [`eject ${sick.address} consecutive-5xx`])
    isSick = false
    clock.advance(2000)
    assert.equal(events.length, 1)
    clock.advance(1000)
    assert.deepEqual(events.slice(1), [`uneject ${sick.address} `])
    for (let turn = 0; turn < 4; turn++) await call(dispatcher)
    assert.equal(sick.seen.length, 5)
  })

  it('counts refused connections against the endpoint', async t => {
    const port = await unusedPort()
    const sound = await startUpstream(t)
    const { source, dispatcher } = makeMesh(t)
    const outlierDetection = makeOutlierDetection({ consecutive5xx: 2, maxEjectionPercent: 50 })
    source.set({
      targets: reviewsTo('c'),
      clusters: [makeCluster('c', [`127.0.0.1:${port}`, sound.address], { outlierDetection })],
    })
    let failures = 0
    for (let turn = 0; turn < 20; turn++) await call(dispatcher).catch(() => failures++)
    assert.equal(failures, 2)
  })

  it('picks by hash where the cluster asks for it, and makes the cookie that was missing', async t => {
    const upstreams = [await startUpstream(t), await startUpstream(t), await startUpstream(t)]
    const { source, dispatcher } = makeMesh(t)
    const hashPolicies = [{ source: { kind: 'cookie', name: 'sid', ttlMs: 1000, path: '/' }, terminal: false }] as const
    source.set({
      targets: { reviews: makeTarget([makeVirtualHost([makeRoute('c', { hashPolicies })])]) },
      clusters: [
        makeCluster(
          'c',
          upstreams.map(({ address }) => address),
          { loadBalancing: { kind: 'ring-hash', minimumRingSize: 1024, maximumRingSize: 8192 } },
        ),
      ],
    })
    const first = await request('http://reviews/', { dispatcher })
    const port = await first.body.text()
    const line = String(first.headers['set-cookie'])
    assert.match(line, /^sid=/)
    const headers = { cookie: line.split(';')[0] ?? '' }
    for (let turn = 0; turn < 6; turn++) {
      const { body, headers: answer } = await request('http://reviews/', { dispatcher, headers })
      assert.equal(await body.text(), port)
      assert.equal(answer['set-cookie'], undefined)
    }
  })

  it('drops the share of requests that the assignment says', async t => {
    const upstream = await startUpstream(t)
    const { source, dispatcher } = makeMesh(t)
    source.set({ targets: reviewsTo('c'), clusters: [makeCluster('c', [upstream.address])] })
    const state = source.current.clusters.get('c')
    assert.equal(state?.kind, 'ready')
    const assignment = { ...state.assignment, dropOverloads: [{ category: 'throttle', probability: 1 }] }
    source.set({ clusters: [{ ...state, assignment }] })
    await assert.rejects(call(dispatcher), error => isMeshError(error) && error.message === 'cluster c: dropped by throttle')
  })

  it('opens on a high error rate, fails fast, and closes after a good probe', async t => {
    let isSick = true
    const clock = new ManualClock()
    const upstream = await startUpstream(t, (_seen, response) => response.writeHead(isSick ? 500 : 200).end())
    const { source, dispatcher } = makeMesh(t, { clock, errorRateBreaker: { volumeThreshold: 5, openMs: 1000 } })
    source.set({ targets: reviewsTo('c'), clusters: [makeCluster('c', [upstream.address])] })
    for (let turn = 0; turn < 5; turn++) await call(dispatcher)
    await assert.rejects(call(dispatcher), error => isMeshError(error) && error.code === 'MESH_ERR_CIRCUIT_OPEN')
    assert.equal(upstream.seen.length, 5)
    isSick = false
    clock.advance(1000)
    await call(dispatcher)
    await call(dispatcher)
    assert.equal(upstream.seen.length, 7)
  })

  it('keeps retries within the budget of the process', async t => {
    const upstream = await startUpstream(t, (_seen, response) => response.writeHead(503).end())
    const { source, dispatcher } = makeMesh(t, { retryBudget: { retryRatio: 0.2, minRetriesPerSecond: 0 } })
    const retryPolicy = makeRetryPolicy({ numRetries: 3 })
    source.set({
      targets: { reviews: makeTarget([makeVirtualHost([makeRoute('c', { retryPolicy })])]) },
      clusters: [makeCluster('c', [upstream.address])],
    })
    for (let turn = 0; turn < 50; turn++) await call(dispatcher)
    assert.ok(upstream.seen.length <= 60, `${upstream.seen.length} attempts`)
    assert.ok(upstream.seen.length > 50)
  })
})
