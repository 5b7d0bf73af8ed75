import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { ClusterConfig } from '../../src/discovery/model/cluster.ts'
import type { ForwardAction, Route, RouteAction, VirtualHost } from '../../src/discovery/model/route.ts'
import { defaultThresholds } from '../../src/policies/circuit-breaker.ts'
import type { FaultConfig } from '../../src/policies/fault.ts'
import { noHeaderMutations } from '../../src/policies/header-mutation.ts'
import type { RetryPolicy } from '../../src/policies/retry.ts'
import type { StatefulSession } from '../../src/policies/stateful-session.ts'
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
import { ManualClock } from '../support/manual-clock.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { makeMesh, type TestMeshOptions } from '../support/test-mesh.ts'
import { until } from '../support/until.ts'
import { type Backend, type CallEnd, grpcCalls, http, nobody, type Transport } from './transports.ts'

/** What a case sets up beside its backends. */
interface Setup extends TestMeshOptions {
  readonly routes?: readonly Route[]
  readonly action?: Partial<ForwardAction>
  readonly route?: Partial<Route>
  readonly virtualHost?: Partial<VirtualHost>
  readonly cluster?: Partial<ClusterConfig>
  readonly fault?: FaultConfig
  readonly session?: StatefulSession
  /** Backends that get a cluster of their own, `b0`, `b1` …, beside `c` with all of them. */
  readonly ownClusters?: boolean
  /** Addresses in `c` before those of the backends. */
  readonly others?: readonly string[]
}

/** What a case has to work with. */
interface Bench {
  readonly transport: Transport
  readonly clock: ManualClock
  readonly backends: readonly Backend[]
  readonly mesh: ReturnType<typeof makeMesh>
  call(headers?: Readonly<Record<string, string>>): Promise<CallEnd>
  /** Makes so many calls, one by one, and says which backend answered how often. */
  spread(calls: number, headers?: (call: number) => Readonly<Record<string, string>>): Promise<number[]>
  /** Flag and attempts of the last call that ended. */
  last(): { readonly flag: string; readonly attempts: number }
}

interface Case {
  readonly name: string
  readonly backends: number
  readonly setup?: (backends: readonly Backend[]) => Setup | Promise<Setup>
  readonly check: (bench: Bench) => Promise<void>
}

async function makeBench(t: TestContext, transport: Transport, { backends: count, setup }: Case): Promise<Bench> {
  // grpc-js has clocks of its own, for the deadlines that it is given.
  const clock = new ManualClock(Date.now())
  const backends = await Promise.all(Array.from({ length: count }, () => transport.start(t)))
  const given = (await setup?.(backends)) ?? {}
  const {
    routes,
    action = {},
    route = {},
    virtualHost,
    cluster,
    fault,
    session,
    ownClusters = false,
    others = [],
    ...options
  } = given
  const mesh = makeMesh(t, { clock, random: seededRandom(7), ...options })
  const filters = [
    ...(fault === undefined ? [] : [{ name: 'fault', config: { kind: 'fault', fault } } as const]),
    ...(session === undefined ? [] : [{ name: 'session', config: { kind: 'stateful-session', session } } as const]),
  ]
  const addresses = backends.map(({ address }) => address)
  mesh.source.set({
    targets: {
      echo: makeTarget([makeVirtualHost(routes ?? [makeRoute('c', action, route)], virtualHost)], { filters }),
    },
    clusters: [
      makeCluster('c', [...others, ...addresses], cluster),
      ...(ownClusters ? addresses.map((address, index) => makeCluster(`b${index}`, [address])) : []),
    ],
  })
  const call = transport.caller(t, mesh, backends)
  return {
    transport,
    clock,
    backends,
    mesh,
    call,
    async spread(calls, headers) {
      const counts = backends.map(() => 0)
      for (let index = 0; index < calls; index++) {
        const { isOk, backend } = await settle(clock, call(headers?.(index)))
        assert.ok(isOk, `call ${index}`)
        counts[backend] = (counts[backend] ?? 0) + 1
      }
      return counts
    },
    last() {
      const outcome = mesh.telemetry.finished.at(-1)?.outcome
      return { flag: outcome?.flag ?? '?', attempts: outcome?.attempts ?? -1 }
    },
  }
}

const turns = async (count = 3) => {
  for (let turn = 0; turn < count; turn++) await new Promise(resolve => setImmediate(resolve))
}
/** Waits for a call, with the time that retries back off. */
async function settle<T>(clock: ManualClock, promise: Promise<T>): Promise<T> {
  let isOver = false
  void promise.then(() => {
    isOver = true
  })
  await until(
    () => isOver,
    () => clock.advanceAsync(1),
  )
  return promise
}
const matching = (cluster: string, match: Partial<Route['match']>): Route => {
  const route = makeRoute(cluster)
  return { ...route, match: { ...route.match, ...match } }
}
const header = (name: string, value: string) => ({
  name,
  invert: false,
  treatMissingAsEmpty: false,
  match: { kind: 'string', matcher: { kind: 'exact', value, ignoreCase: false } } as const,
})
const retrying = (policy: Partial<RetryPolicy> = {}) => ({
  retryPolicy: makeRetryPolicy({ retryOn: ['5xx', 'unavailable'], ...policy }),
})
const hedging = (policy: Partial<RetryPolicy> = {}): Setup => ({
  action: { ...retrying({ perTryTimeoutMs: 100, numRetries: 1, ...policy }), hedgeOnPerTryTimeout: true },
  cluster: { circuitBreakers: { default: { ...defaultThresholds, maxRequests: 2 }, high: defaultThresholds } },
})
/** A call with two tries under way: `slow` has the first. */
async function hedge({ call, backends, clock }: Bench) {
  const before = backends.map(({ calls }) => calls)
  const reached = () => backends.filter((backend, index) => backend.calls > (before[index] ?? 0))
  for (const backend of backends) backend.behave('silent')
  const ended = call()
  await until(() => reached().length === 1)
  const [slow = assert.fail()] = reached()
  await clock.advanceAsync(100)
  await until(
    () => reached().length >= 2,
    () => clock.advanceAsync(1),
  )
  return { ended, slow, other: reached().find(backend => backend !== slow) ?? assert.fail() }
}
const assertEnd = ({ backends }: Bench, { isOk, backend }: CallEnd, by: Backend) => {
  assert.equal(isOk, true)
  assert.equal(backends[backend], by)
}
/** The clusters `b0`, `b1` … by weight. */
const split = (...weights: readonly number[]) =>
  ({
    kind: 'weighted',
    clusters: weights.map((weight, index) => ({
      name: `b${index}`,
      weight,
      headerMutations: noHeaderMutations,
      hostRewrite: undefined,
      filterOverrides: {},
    })),
    totalWeight: weights.reduce((sum, weight) => sum + weight, 0),
    headerName: '',
  }) as const
const byCookie: StatefulSession = { state: { kind: 'cookie', name: 'at', path: '', ttlMs: 0 }, isStrict: false }
/** What a caller sends that got `set-cookie`. */
const cookieOf = ({ headers }: CallEnd) => ({
  cookie: String(headers['set-cookie'] ?? assert.fail('no cookie')).split(';')[0] ?? '',
})
const always = { numerator: 100, denominator: 100 } as const
const all = { route: (action: RouteAction): Partial<Route> => ({ action }) }

const cases: readonly Case[] = [
  {
    name: 'routing: path, prefix, RE2 and headers, the first match in the order of the list',
    backends: 4,
    setup: () => ({
      ownClusters: true,
      routes: [
        matching('b0', { path: { kind: 'exact', value: '/test.Echo/Other', ignoreCase: false } }),
        matching('b1', { path: { kind: 'regex', regex: '/test\\.[A-Z][a-z]+/Un.*' }, headers: [header('x-user', 'regex')] }),
        matching('b2', {
          path: { kind: 'prefix', value: '/test.Echo/', ignoreCase: false },
          headers: [header('x-user', 'prefix')],
        }),
        matching('b3', { path: { kind: 'exact', value: '/test.Echo/Unary', ignoreCase: false } }),
      ],
    }),
    async check({ call }) {
      for (const [user, backend] of [
        ['regex', 1],
        ['prefix', 2],
        ['nobody', 3],
      ] as const)
        assert.equal((await call({ 'x-user': user })).backend, backend, user)
    },
  },
  {
    name: 'routing: a fraction of the calls',
    backends: 2,
    setup: () => ({
      ownClusters: true,
      routes: [matching('b0', { runtimeFraction: { numerator: 25, denominator: 100 } }), makeRoute('b1')],
    }),
    async check({ spread }) {
      const [some = 0] = await spread(200)
      assert.ok(some > 30 && some < 70, `${some} of 200`)
    },
  },
  {
    name: 'routing: weighted clusters',
    backends: 2,
    setup: () => ({ ownClusters: true, action: { clusters: split(90, 10) } }),
    async check({ spread }) {
      const [, canary = 0] = await spread(200)
      assert.ok(canary > 8 && canary < 35, `${canary} of 200`)
    },
  },
  {
    name: 'routing: headers of the call and of the answer are changed',
    backends: 1,
    setup: () => {
      const option = (name: string, value: string) =>
        ({ name, value, action: 'overwrite-if-exists-or-add', keepEmptyValue: false }) as const
      const headerMutations = {
        requestAdd: [option('x-set', 'by %REQ(x-user)%')],
        requestRemove: ['x-secret'],
        responseAdd: [option('x-answer', 'yes')],
        responseRemove: ['x-backend'],
      }
      return { route: { headerMutations } }
    },
    async check({ call, backends }) {
      const { headers } = await call({ 'x-user': 'jason', 'x-secret': '1' })
      assert.deepEqual([backends[0]?.headers['x-set'], backends[0]?.headers['x-secret']], ['by jason', undefined])
      assert.deepEqual([headers['x-answer'], headers['x-backend']], ['yes', undefined])
    },
  },
  {
    name: "routing: the host is rewritten, to a name or to the endpoint's own",
    backends: 1,
    setup: () => ({
      ownClusters: true,
      routes: [
        {
          ...makeRoute('c', { hostRewrite: { kind: 'auto' } }),
          match: matching('c', { headers: [header('x-user', 'auto')] }).match,
        },
        makeRoute('c', { hostRewrite: { kind: 'literal', value: 'other.example' } }),
      ],
    }),
    async check({ call, backends, mesh }) {
      const endpoint = { ...makeEndpoint(backends[0]?.address ?? ''), hostname: 'own.example' }
      mesh.source.set({ clusters: [makeCluster('c', [endpoint])] })
      await call({ 'x-user': 'auto' })
      assert.equal(backends[0]?.headers.host, 'own.example')
      await call()
      assert.equal(backends[0]?.headers.host, 'other.example')
    },
  },
  {
    name: 'routing: an answer of the mesh itself',
    backends: 1,
    setup: () => ({ route: all.route({ kind: 'direct-response', status: 503, body: 'closed' }) }),
    async check({ call, backends }) {
      assert.equal((await call()).isOk, false)
      assert.equal(backends[0]?.calls, 0)
    },
  },
  {
    name: 'routing: no route is an error',
    backends: 1,
    setup: () => ({ routes: [] }),
    async check({ call, last }) {
      assert.equal((await call()).isOk, false)
      assert.deepEqual(last(), { flag: 'NR', attempts: 0 })
    },
  },
  {
    name: 'routing: a cluster that does not exist is an error',
    backends: 1,
    setup: () => ({ routes: [makeRoute('missing')] }),
    async check({ call, last }) {
      assert.equal((await call()).isOk, false)
      assert.deepEqual(last(), { flag: 'NC', attempts: 0 })
    },
  },
  {
    name: 'balancing: round robin',
    backends: 3,
    check: async ({ spread }) => assert.deepEqual(await spread(30), [10, 10, 10]),
  },
  {
    name: 'balancing: weights',
    backends: 2,
    async check({ spread, mesh, backends }) {
      const endpoints = backends.map(({ address }, index) => ({ ...makeEndpoint(address), weight: index === 0 ? 1 : 3 }))
      mesh.source.set({ clusters: [makeCluster('c', endpoints)] })
      assert.deepEqual(await spread(40), [10, 30])
    },
  },
  {
    name: 'balancing: random',
    backends: 2,
    setup: () => ({ cluster: { loadBalancing: { kind: 'random' } } }),
    async check({ spread }) {
      const [first = 0] = await spread(100)
      assert.ok(first > 30 && first < 70, `${first} of 100`)
    },
  },
  {
    name: 'balancing: least request passes over who is busy',
    backends: 2,
    setup: () => ({
      cluster: { loadBalancing: { kind: 'least-request', choiceCount: 10, activeRequestBias: 1, slowStart: undefined } },
    }),
    async check({ call, spread, backends }) {
      for (const backend of backends) backend.behave('silent')
      const held = call()
      await until(() => backends.some(({ calls }) => calls === 1))
      for (const backend of backends) backend.behave('ok')
      const busy = backends.findIndex(({ calls }) => calls === 1)
      assert.equal((await spread(10))[busy], 0)
      backends[busy]?.answerLate()
      assert.equal((await held).isOk, true)
    },
  },
  ...(['ring-hash', 'maglev'] as const).map(
    (kind): Case => ({
      name: `balancing: ${kind} keeps a caller on one endpoint`,
      backends: 3,
      setup: () => ({
        cluster: {
          loadBalancing: kind === 'maglev' ? { kind, tableSize: 65_537 } : { kind, minimumRingSize: 1024, maximumRingSize: 4096 },
        },
        action: { hashPolicies: [{ source: { kind: 'header', name: 'x-user', rewrite: undefined }, terminal: false }] },
      }),
      async check({ spread }) {
        const users = await spread(60, call => ({ 'x-user': `user-${call}` }))
        assert.ok(
          users.every(count => count > 5),
          String(users),
        )
        const one = await spread(10, () => ({ 'x-user': 'jason' }))
        assert.deepEqual(one.toSorted(), [0, 0, 10])
      },
    }),
  ),
  {
    name: 'balancing: the second priority serves while the first is unhealthy',
    backends: 2,
    async check({ spread, mesh, backends }) {
      const [first, second] = backends.map(({ address }) => makeEndpoint(address))
      assert.ok(first !== undefined && second !== undefined)
      const state = (health: 'healthy' | 'unhealthy') => {
        const cluster = makeCluster('c', [])
        assert.ok(cluster.kind === 'ready')
        const localities = [
          { priority: 0, endpoints: [{ ...first, health }] },
          { priority: 1, endpoints: [second] },
        ]
        return [{ ...cluster, assignment: makeAssignment('c', localities) }]
      }
      mesh.source.set({ clusters: state('healthy') })
      assert.deepEqual(await spread(5), [5, 0])
      mesh.source.set({ clusters: state('unhealthy') })
      assert.deepEqual(await spread(5), [0, 5])
    },
  },
  {
    name: 'balancing: an aggregate takes the first cluster that has somebody',
    backends: 2,
    setup: () => ({ ownClusters: true, cluster: { discovery: { kind: 'aggregate', clusters: ['b0', 'b1'] } } }),
    async check({ spread, mesh }) {
      assert.deepEqual(await spread(4), [4, 0])
      mesh.source.set({ clusters: [makeCluster('b0', [])] })
      assert.deepEqual(await spread(4), [0, 4])
    },
  },
  {
    name: 'failure: an endpoint that cannot be reached is passed over',
    backends: 1,
    setup: async () => ({ others: [await nobody()], action: retrying({ retryOn: ['connect-failure'] }) }),
    async check({ spread }) {
      assert.deepEqual(await spread(6), [6])
    },
  },
  {
    name: 'failure: another address of the same endpoint answers',
    backends: 1,
    async check({ mesh, backends, spread, last }) {
      const endpoint = makeEndpoint(backends[0]?.address ?? '')
      const { port } = endpoint
      // Nobody listens on the first.
      const twice = { ...endpoint, address: '127.0.0.2', additionalAddresses: [{ address: '127.0.0.1', port }] }
      mesh.source.set({ clusters: [makeCluster('c', [twice])] })
      assert.deepEqual(await spread(2), [2])
      assert.deepEqual(last(), { flag: '', attempts: 1 })
    },
  },
  {
    name: 'failure: nobody to reach',
    backends: 0,
    setup: async () => ({ others: [await nobody()] }),
    async check({ call, last }) {
      assert.equal((await call()).isOk, false)
      assert.equal(last().flag, 'UF')
    },
  },
  {
    name: 'failure: no endpoints',
    backends: 0,
    async check({ call, last }) {
      assert.equal((await call()).isOk, false)
      assert.deepEqual(last(), { flag: 'UH', attempts: 0 })
    },
  },
  {
    name: 'retries: until one succeeds, elsewhere',
    backends: 2,
    setup: () => ({ action: retrying({ avoidPreviousHosts: true, hostSelectionMaxAttempts: 5 }) }),
    async check({ call, backends, last, clock }) {
      backends[0]?.behave('unavailable')
      for (let index = 0; index < 4; index++) {
        const { isOk, backend } = await settle(clock, call())
        assert.deepEqual([isOk, backend], [true, 1])
      }
      assert.equal(backends[1]?.calls, 4)
      assert.ok(last().attempts <= 2)
    },
  },
  {
    name: 'retries: spent, the last answer is the answer',
    backends: 1,
    setup: () => ({ action: retrying({ numRetries: 2 }) }),
    async check({ call, backends, last, clock }) {
      backends[0]?.behave('unavailable')
      const { isOk, backend } = await settle(clock, call())
      assert.deepEqual([isOk, backend], [false, 0])
      assert.equal(backends[0]?.calls, 3)
      assert.deepEqual(last(), { flag: 'URX', attempts: 3 })
    },
  },
  {
    name: 'retries: not what the policy does not name',
    backends: 1,
    setup: () => ({ action: retrying({ retryOn: ['connect-failure', 'resource-exhausted'] }) }),
    async check({ call, backends, last }) {
      backends[0]?.behave('unavailable')
      assert.equal((await call()).isOk, false)
      assert.equal(last().attempts, 1)
    },
  },
  {
    name: 'retries: the server is told which attempt it is',
    backends: 1,
    setup: () => ({ action: retrying(), virtualHost: { includeRequestAttemptCount: true } }),
    async check({ call, backends, clock }) {
      backends[0]?.behave(number => (number === 1 ? 'unavailable' : 'ok'))
      assert.equal((await settle(clock, call())).isOk, true)
      assert.equal(backends[0]?.headers['x-envoy-attempt-count'], '2')
    },
  },
  {
    name: 'retries: a budget',
    backends: 1,
    setup: () => ({
      action: retrying({ numRetries: 3, backOff: { baseIntervalMs: 1, maxIntervalMs: 1 } }),
      retryBudget: { retryRatio: 0.1, minRetriesPerSecond: 0 },
    }),
    async check({ call, backends, clock }) {
      backends[0]?.behave('unavailable')
      for (let index = 0; index < 5; index++) assert.equal((await settle(clock, call())).isOk, false)
      assert.equal(backends[0]?.calls, 5)
    },
  },
  {
    name: 'timeouts: the life of a call',
    backends: 1,
    setup: () => ({
      action: {
        maxStreamDuration: {
          maxStreamDurationMs: 500,
          grpcTimeoutHeaderMaxMs: undefined,
          grpcTimeoutHeaderOffsetMs: undefined,
        },
      },
    }),
    async check({ call, backends, clock, last }) {
      backends[0]?.behave('silent')
      const ended = call()
      await until(() => backends[0]?.calls === 1)
      await clock.advanceAsync(600, 100)
      assert.equal((await ended).isOk, false)
      assert.equal(last().attempts, 1)
    },
  },
  {
    name: 'timeouts: a try that says nothing is followed by another',
    backends: 1,
    setup: () => ({ action: retrying({ perTryTimeoutMs: 100, numRetries: 1, retryOn: ['5xx'] }) }),
    async check({ call, backends, clock, last }) {
      backends[0]?.behave(number => (number === 1 ? 'silent' : 'ok'))
      const ended = call()
      await until(() => backends[0]?.calls === 1)
      await clock.advanceAsync(100)
      clock.advance(1)
      assert.equal((await ended).isOk, true)
      assert.equal(last().attempts, 2)
    },
  },
  {
    name: 'hedging: a try that says nothing goes on beside another, and counts when it is answered first',
    backends: 2,
    setup: () => hedging(),
    async check(bench) {
      const { ended, slow, other } = await hedge(bench)
      slow.answerLate()
      assertEnd(bench, await settle(bench.clock, ended), slow)
      assert.deepEqual(bench.last(), { flag: '', attempts: 2 })
      // Nothing is held any more: the one request that the breaker allows beside another is made.
      other.behave('ok')
      slow.behave('ok')
      for (let index = 0; index < 4; index++) assert.equal((await bench.call()).isOk, true)
    },
  },
  {
    name: 'hedging: the later try is answered first, and the earlier one is given up',
    backends: 2,
    setup: () => hedging(),
    async check(bench) {
      const { ended, other } = await hedge(bench)
      other.answerLate()
      assertEnd(bench, await settle(bench.clock, ended), other)
      assert.deepEqual(bench.last(), { flag: '', attempts: 2 })
    },
  },
  {
    name: 'hedging: a bad answer of either try is not the end while the other may be good',
    backends: 2,
    setup: () => hedging(),
    async check(bench) {
      const one = await hedge(bench)
      one.slow.answerLate('unavailable')
      await turns(5)
      one.other.answerLate()
      assertEnd(bench, await settle(bench.clock, one.ended), one.other)
      const two = await hedge(bench)
      two.other.answerLate('unavailable')
      await turns(5)
      two.slow.answerLate()
      assertEnd(bench, await settle(bench.clock, two.ended), two.slow)
    },
  },
  {
    name: 'hedging: when all are bad, the last one decides',
    backends: 2,
    setup: () => hedging(),
    async check(bench) {
      const { ended, slow, other } = await hedge(bench)
      other.answerLate('unavailable')
      await turns(5)
      slow.answerLate('unavailable')
      const end = await settle(bench.clock, ended)
      assert.equal(end.isOk, false)
      assert.equal(bench.backends[end.backend], slow)
    },
  },
  {
    name: 'hedging: a try waits for its answer when there are no retries left',
    backends: 1,
    setup: () => hedging({ numRetries: 0 }),
    async check({ call, backends, clock, last }) {
      const [backend] = backends
      backend?.behave('silent')
      const ended = call()
      await until(() => backend?.calls === 1)
      await clock.advanceAsync(500, 100)
      backend?.answerLate()
      assert.equal((await ended).isOk, true)
      assert.equal(last().attempts, 1)
    },
  },
  {
    name: 'sessions: who comes back with the cookie gets to the same endpoint, and no other cookie',
    backends: 4,
    setup: () => ({ session: byCookie }),
    async check({ call, backends }) {
      const first = await call()
      for (let index = 0; index < 6; index++) {
        const { backend, headers } = await call(cookieOf(first))
        assert.equal(backend, first.backend)
        assert.equal(headers['set-cookie'], undefined)
      }
      assert.equal(backends[first.backend]?.calls, 7)
    },
  },
  {
    name: 'sessions: of a split, the cluster that the cookie names',
    backends: 2,
    setup: () => ({
      session: byCookie,
      ownClusters: true,
      action: { clusters: split(50, 50) },
    }),
    async check({ call, transport }) {
      const first = await call()
      const counts = [0, 0]
      for (let index = 0; index < 20; index++) {
        const { backend } = await call(cookieOf(first))
        counts[backend] = (counts[backend] ?? 0) + 1
      }
      // Envoy's cookie names none.
      if (transport.name === 'gRPC') assert.equal(counts[first.backend], 20)
      else assert.ok(counts.every(count => count > 0))
    },
  },
  {
    name: 'sessions: an endpoint that is gone is another from then on',
    backends: 2,
    setup: () => ({ session: byCookie }),
    async check({ call, mesh, backends }) {
      const first = await call()
      const [other = assert.fail()] = backends.filter((_, index) => index !== first.backend)
      mesh.source.set({ clusters: [makeCluster('c', [other.address])] })
      const next = await call(cookieOf(first))
      assert.equal(backends[next.backend], other)
      assert.notEqual(cookieOf(next).cookie, cookieOf(first).cookie)
    },
  },
  {
    name: 'sessions: a draining endpoint is served to those that it has, where the cluster says so',
    backends: 2,
    setup: () => ({ session: byCookie, cluster: { overrideHostStatuses: ['healthy', 'draining'] } }),
    async check({ call, mesh, backends }) {
      const first = await call()
      const endpoints = backends.map(({ address }, index) => {
        const health = index === first.backend ? ('draining' as const) : ('healthy' as const)
        return { ...makeEndpoint(address), health }
      })
      const cluster = { overrideHostStatuses: ['healthy', 'draining'] as const }
      mesh.source.set({ clusters: [makeCluster('c', endpoints, cluster)] })
      assert.equal((await call(cookieOf(first))).backend, first.backend)
      assert.notEqual((await call()).backend, first.backend)
    },
  },
  {
    name: 'sessions: a strict one fails without its endpoint',
    backends: 2,
    setup: () => ({ session: { ...byCookie, isStrict: true } }),
    async check({ call, mesh, backends, last }) {
      const first = await call()
      const left = backends.filter((_, index) => index !== first.backend).map(({ address }) => address)
      mesh.source.set({ clusters: [makeCluster('c', left)] })
      assert.equal((await call(cookieOf(first))).isOk, false)
      assert.equal(last().flag, 'UH')
      assert.equal((await call()).isOk, true)
    },
  },
  {
    name: 'sessions: A55: a retry over gRPC keeps the endpoint, over HTTP another one is tried as by Envoy',
    backends: 2,
    setup: () => ({ session: byCookie, action: retrying({ numRetries: 2 }) }),
    async check({ call, backends, clock, transport, last }) {
      const first = await call()
      const kept = backends[first.backend] ?? assert.fail('no backend')
      kept.behave('unavailable')
      const second = await settle(clock, call(cookieOf(first)))
      assert.equal(second.isOk, transport.name === 'HTTP')
      if (transport.name === 'gRPC') assert.deepEqual([kept.calls, last().attempts], [4, 3])
      else assert.notEqual(second.backend, first.backend)
    },
  },
  {
    name: 'sessions: who comes back to an endpoint that cannot be reached gets another, and from then on keeps it',
    backends: 2,
    setup: () => ({ session: byCookie, action: retrying({ retryOn: ['connect-failure'], numRetries: 2 }) }),
    async check({ call, clock, mesh, backends }) {
      const gone = await nobody()
      mesh.source.set({ clusters: [makeCluster('c', [gone, ...backends.map(({ address }) => address)])] })
      const cookie = `at="${Buffer.from(`${gone};c`).toString('base64')}"`
      const first = await settle(clock, call({ cookie }))
      assert.equal(first.isOk, true)
      for (let index = 0; index < 4; index++) assert.equal((await call(cookieOf(first))).backend, first.backend)
    },
  },
  {
    name: 'sessions: a header in place of a cookie',
    backends: 4,
    setup: () => ({ session: { state: { kind: 'header', name: 'x-at' }, isStrict: false } }),
    async check({ call }) {
      const first = await call()
      const at = first.headers['x-at'] ?? assert.fail('no header')
      for (let index = 0; index < 6; index++) assert.equal((await call({ 'x-at': at })).backend, first.backend)
    },
  },
  {
    name: 'circuit breaking: too many requests',
    backends: 1,
    setup: () => ({
      cluster: { circuitBreakers: { default: { ...defaultThresholds, maxRequests: 1 }, high: defaultThresholds } },
    }),
    async check({ call, backends, last }) {
      backends[0]?.behave('silent')
      const held = call()
      await until(() => backends[0]?.calls === 1)
      assert.equal((await call()).isOk, false)
      assert.deepEqual(last(), { flag: 'UO', attempts: 0 })
      backends[0]?.answerLate()
      assert.equal((await held).isOk, true)
      backends[0]?.behave('ok')
      assert.equal((await call()).isOk, true)
    },
  },
  {
    name: 'circuit breaking: what is under way counts also when the cluster is configured anew (A32)',
    backends: 1,
    setup: () => ({
      cluster: { circuitBreakers: { default: { ...defaultThresholds, maxRequests: 2 }, high: defaultThresholds } },
    }),
    async check({ call, backends, last, mesh }) {
      const limitTo = (maxRequests: number, edsServiceName = 'c') => {
        const circuitBreakers = { default: { ...defaultThresholds, maxRequests }, high: defaultThresholds }
        const discovery = { kind: 'eds', edsServiceName } as const
        mesh.source.set({ clusters: [makeCluster('c', [backends[0]?.address ?? ''], { circuitBreakers, discovery })] })
      }
      backends[0]?.behave('silent')
      const held = [call(), call()]
      await until(() => backends[0]?.calls === 2)
      limitTo(2)
      assert.equal((await call()).isOk, false)
      assert.deepEqual(last(), { flag: 'UO', attempts: 0 })
      limitTo(3)
      held.push(call())
      await until(() => backends[0]?.calls === 3)
      limitTo(1)
      backends[0]?.answerLate()
      for (const each of held) assert.equal((await each).isOk, true)
      held.splice(0, 3, call())
      await until(() => backends[0]?.calls === 4)
      assert.equal((await call()).isOk, false)
      // Other endpoints have counts of their own.
      limitTo(1, 'other')
      held.push(call())
      await until(() => backends[0]?.calls === 5)
      backends[0]?.answerLate()
      for (const each of held) assert.equal((await each).isOk, true)
    },
  },
  {
    name: 'circuit breaking: a call that waits for its answer is not pending',
    backends: 1,
    setup: () => ({
      cluster: { circuitBreakers: { default: { ...defaultThresholds, maxPendingRequests: 1 }, high: defaultThresholds } },
    }),
    async check({ call, backends }) {
      backends[0]?.behave('silent')
      const first = call()
      await until(() => backends[0]?.calls === 1)
      const second = call()
      await until(() => backends[0]?.calls === 2)
      backends[0]?.answerLate()
      assert.deepEqual([(await first).isOk, (await second).isOk], [true, true])
    },
  },
  {
    name: 'circuit breaking: an error rate that is too high',
    backends: 1,
    setup: () => ({ errorRateBreaker: { volumeThreshold: 4, errorThresholdPercent: 50, openMs: 1000 } }),
    async check({ call, backends, last, clock }) {
      backends[0]?.behave('unavailable')
      for (let index = 0; index < 4; index++) await call()
      const seen = backends[0]?.calls
      assert.equal((await call()).isOk, false)
      assert.deepEqual([last().flag, backends[0]?.calls], ['UO', seen])
      backends[0]?.behave('ok')
      clock.advance(1000)
      assert.equal((await call()).isOk, true)
      assert.equal((await call()).isOk, true)
    },
  },
  {
    name: 'outlier detection: an endpoint that fails is left out, and comes back',
    backends: 2,
    setup: () => ({
      cluster: {
        outlierDetection: makeOutlierDetection({ consecutive5xx: 2, maxEjectionPercent: 50, baseEjectionTimeMs: 30_000 }),
      },
    }),
    async check({ call, spread, backends, clock }) {
      backends[0]?.behave('unavailable')
      for (let index = 0; index < 4; index++) await call()
      backends[0]?.behave('ok')
      assert.deepEqual(await spread(6), [0, 6])
      clock.advance(40_000)
      assert.deepEqual(await spread(6), [3, 3])
    },
  },
  {
    name: 'outlier detection: an endpoint that cannot be reached',
    backends: 1,
    setup: async () => ({
      others: [await nobody()],
      cluster: { outlierDetection: makeOutlierDetection({ consecutive5xx: 1, maxEjectionPercent: 50 }) },
      action: retrying({ retryOn: ['connect-failure'] }),
    }),
    async check({ spread, last }) {
      await spread(2)
      await spread(1)
      assert.equal(last().attempts, 1)
      await spread(1)
      assert.equal(last().attempts, 1)
    },
  },
  {
    name: 'overload: a share is dropped before anybody is picked',
    backends: 1,
    async check({ call, mesh, backends, last }) {
      const cluster = makeCluster('c', [backends[0]?.address ?? ''])
      assert.ok(cluster.kind === 'ready' && cluster.assignment !== undefined)
      const assignment = { ...cluster.assignment, dropOverloads: [{ category: 'all', probability: 1 }] }
      mesh.source.set({ clusters: [{ ...cluster, assignment }] })
      assert.equal((await call()).isOk, false)
      assert.deepEqual(last(), { flag: 'UO', attempts: 0 })
    },
  },
  {
    name: 'faults: an abort',
    backends: 1,
    setup: () => ({
      fault: {
        delay: undefined,
        abort: { httpStatus: 503, grpcStatus: undefined, fromHeader: false, percentage: always },
        headers: [header('x-fault', 'yes')],
        upstreamCluster: '',
        maxActiveFaults: Number.POSITIVE_INFINITY,
      },
    }),
    async check({ call, backends, last }) {
      assert.equal((await call({ 'x-fault': 'yes' })).isOk, false)
      assert.deepEqual([last().flag, backends[0]?.calls], ['FI', 0])
      assert.equal((await call()).isOk, true)
    },
  },
  {
    name: 'faults: a delay',
    backends: 1,
    setup: () => ({
      fault: {
        delay: { fixedDelayMs: 300, fromHeader: false, percentage: always },
        abort: undefined,
        headers: [],
        upstreamCluster: '',
        maxActiveFaults: Number.POSITIVE_INFINITY,
      },
    }),
    async check({ call, backends, clock, last }) {
      const ended = call()
      await until(() => clock.pendingTimers > 0)
      await clock.advanceAsync(299)
      await turns(20)
      assert.equal(backends[0]?.calls, 0)
      clock.advance(1)
      assert.equal((await ended).isOk, true)
      assert.equal(last().flag, 'DI')
    },
  },
  {
    name: "mirroring: copies go to another cluster, and what becomes of them is nobody else's",
    backends: 3,
    setup: () => {
      const mirror = (cluster: string, numerator: number, disableHostSuffix = false) => ({
        cluster,
        fraction: { numerator, denominator: 100 } as const,
        disableHostSuffix,
      })
      const mirrors = [mirror('b1', 100), mirror('b2', 100, true), mirror('missing', 100), mirror('b0', 0)]
      return { ownClusters: true, routes: [makeRoute('b0', { mirrors })] }
    },
    async check({ call, backends, last }) {
      backends[1]?.behave('unavailable')
      backends[2]?.behave('silent')
      for (let index = 1; index <= 3; index++) {
        assert.deepEqual([(await call({ 'x-user': 'jason' })).backend, last()], [0, { flag: '', attempts: 1 }])
        await until(() => backends[1]?.calls === index && backends[2]?.calls === index)
      }
      assert.equal(backends[0]?.calls, 3)
      assert.deepEqual([backends[1]?.headers.host, backends[2]?.headers.host], ['echo-shadow', 'echo'])
      assert.equal(backends[1]?.headers['x-user'], 'jason')
      backends[2]?.answerLate()
    },
  },
  {
    name: 'discovery: endpoints change under traffic',
    backends: 3,
    async check({ spread, mesh, backends }) {
      const addresses = backends.map(({ address }) => address)
      mesh.source.set({ clusters: [makeCluster('c', addresses.slice(0, 1))] })
      assert.deepEqual(await spread(3), [3, 0, 0])
      mesh.source.set({ clusters: [makeCluster('c', addresses.slice(1))] })
      assert.deepEqual(await spread(4), [0, 2, 2])
    },
  },
]

for (const transport of [http, grpcCalls]) {
  describe(`${transport.name} through the mesh`, () => {
    for (const each of cases) {
      test(each.name, async t => {
        await each.check(await makeBench(t, transport, each))
      })
    }
  })
}
