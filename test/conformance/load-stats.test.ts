import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { LoadStats } from '../../src/client/load-stats.ts'
import type { ClusterConfig } from '../../src/discovery/model/cluster.ts'
import type { ForwardAction } from '../../src/discovery/model/route.ts'
import { defaultThresholds } from '../../src/policies/circuit-breaker.ts'
import type { DropOverload } from '../../src/policies/drop-overload.ts'
import {
  makeAssignment,
  makeCluster,
  makeEndpoint,
  makeRetryPolicy,
  makeRoute,
  makeTarget,
  makeVirtualHost,
} from '../support/fake-config-source.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { makeMesh } from '../support/test-mesh.ts'
import { until } from '../support/until.ts'
import { type Backend, grpcCalls, http, nobody, type Transport } from './transports.ts'

const loadReporting = { metrics: [] }
const regions = ['eu', 'us']

interface Setup {
  readonly cluster?: Partial<ClusterConfig>
  readonly action?: Partial<ForwardAction>
}

/** Two backends, each in a region of its own, by turns. */
async function setUp(t: TestContext, transport: Transport, { cluster = {}, action = {} }: Setup = {}) {
  const clock = new ManualClock(Date.now())
  const loads = new LoadStats(clock)
  const backends = await Promise.all(regions.map(() => transport.start(t)))
  const mesh = makeMesh(t, { clock, loads, random: () => 0 })
  const set = (change: Partial<ClusterConfig>, members: readonly string[] = backends.map(({ address }) => address)) => {
    const state = makeCluster('c', [], { loadReporting, ...cluster, ...change })
    assert.ok(state.kind === 'ready')
    const localities = members.map((address, index) => ({
      locality: { region: regions[index] ?? '', zone: '', subZone: '' },
      endpoints: [makeEndpoint({ address: '127.0.0.1', port: Number(address.slice(address.lastIndexOf(':') + 1)) })],
    }))
    mesh.source.set({ clusters: [{ ...state, assignment: makeAssignment('c', localities) }] })
  }
  set({})
  mesh.source.set({ targets: { echo: makeTarget([makeVirtualHost([makeRoute('c', action)])]) } })
  const call = transport.caller(t, mesh, backends)
  const settled = async (promise: Promise<unknown>) => {
    let isOver = false
    void promise.finally(() => {
      isOver = true
    })
    await until(
      () => isOver,
      () => clock.advanceAsync(1),
    )
  }
  return {
    clock,
    loads,
    backends,
    mesh,
    set,
    call,
    calls: async (count: number) => {
      for (let index = 0; index < count; index++) await settled(call())
    },
  }
}

/** `eu 3/2/1/0`: issued, succeeded, failed, in progress. */
const take = (loads: LoadStats) =>
  loads
    .take(null)
    .flatMap(({ localities }) =>
      localities.map(
        ({ locality, issued, succeeded, failed, inProgress }) =>
          `${locality.region} ${issued}/${succeeded}/${failed}/${inProgress}`,
      ),
    )
    .sort()

const reached = async (backend: Backend, calls = 1) => {
  await until(() => backend.calls >= calls)
}

for (const transport of [http, grpcCalls]) {
  describe(`the load of a cluster, over ${transport.name}`, () => {
    test('as many as were called, in the locality that took them', async t => {
      const { loads, calls, backends } = await setUp(t, transport)
      await calls(10)
      assert.deepEqual(take(loads), ['eu 5/5/0/0', 'us 5/5/0/0'])
      backends[0]?.behave('unavailable')
      await calls(4)
      assert.deepEqual(take(loads), ['eu 2/0/2/0', 'us 2/2/0/0'])
    })

    test('every attempt counts, and the one that another follows has failed', async t => {
      const retryPolicy = makeRetryPolicy({ retryOn: ['5xx', 'unavailable'] })
      const { loads, calls, backends } = await setUp(t, transport, { action: { retryPolicy } })
      backends[0]?.behave('unavailable')
      await calls(2)
      assert.deepEqual(take(loads), ['eu 2/0/2/0', 'us 2/2/0/0'])
    })

    test('an endpoint that cannot be reached has failed', async t => {
      const { loads, calls, set, backends } = await setUp(t, transport)
      set({}, [await nobody(), backends[1]?.address ?? ''])
      await calls(1)
      // A gRPC call goes elsewhere.
      assert.equal(take(loads)[0], 'eu 1/0/1/0')
    })

    test('what is in flight, across an update of the cluster', async t => {
      const { loads, call, set, backends } = await setUp(t, transport)
      const [first] = backends
      first?.behave('silent')
      const answer = call()
      assert.ok(first)
      await reached(first)
      assert.deepEqual(take(loads), ['eu 1/0/0/1'])
      set({ connectTimeoutMs: 1234 })
      first.answerLate()
      assert.equal((await answer).isOk, true)
      assert.deepEqual(take(loads), ['eu 0/1/0/0'])
    })

    test('drops by category, before they reach anybody', async t => {
      const { loads, calls, mesh } = await setUp(t, transport)
      const state = mesh.source.current.clusters.get('c')
      assert.ok(state?.kind === 'ready')
      const dropBy = (...dropOverloads: readonly DropOverload[]) =>
        mesh.source.set({ clusters: [{ ...state, assignment: { ...state.assignment, dropOverloads } }] })
      await calls(2)
      dropBy({ category: 'lb', probability: 1 })
      await calls(1)
      dropBy({ category: 'lb', probability: 0 }, { category: 'throttle', probability: 1 })
      await calls(2)
      const [load] = loads.take(null)
      assert.equal(load?.dropped, 3)
      assert.deepEqual(Object.fromEntries(load?.droppedByCategory ?? []), { lb: 1, throttle: 2 })
      assert.equal(
        load?.localities.reduce((sum, { issued }) => sum + issued, 0),
        2,
      )
    })

    test('a circuit breaker drops without a category (gRFC A32)', async t => {
      const thresholds = { ...defaultThresholds, maxRequests: 1 }
      const cluster = { circuitBreakers: { default: thresholds, high: thresholds } }
      const { loads, call, calls, backends } = await setUp(t, transport, { cluster })
      const [first] = backends
      first?.behave('silent')
      const answer = call()
      assert.ok(first)
      await reached(first)
      await calls(2)
      first.answerLate()
      await answer
      const [load] = loads.take(null)
      assert.deepEqual([load?.dropped, load?.droppedByCategory.size], [2, 0])
    })

    test('a mirrored request counts where it goes', async t => {
      const mirror = { cluster: 'shadow', fraction: { numerator: 100, denominator: 100 }, disableHostSuffix: false } as const
      const { loads, calls, mesh } = await setUp(t, transport, { action: { mirrors: [mirror] } })
      const shadow = await transport.start(t)
      mesh.source.set({ clusters: [makeCluster('shadow', [shadow.address], { loadReporting })] })
      await calls(2)
      await reached(shadow, 2)
      const mirrored = () => mesh.plane.clusters.handle('shadow').cluster?.endpoints().next().value?.activeRequests
      await until(() => mirrored() === 0)
      const told = loads
        .take(null)
        .map(({ cluster, localities }) => [
          cluster,
          localities.reduce((sum, { issued }) => sum + issued, 0),
          localities.reduce((sum, { succeeded }) => sum + succeeded, 0),
        ])
      assert.deepEqual(told, [
        ['c', 2, 2],
        ['shadow', 2, 2],
      ])
    })

    test('nothing where the control plane does not ask', async t => {
      const { loads, calls } = await setUp(t, transport, { cluster: { loadReporting: undefined } })
      await calls(2)
      assert.equal(loads.isWanted, false)
    })

    test('a cluster that leaves is told once more', async t => {
      const { loads, calls, mesh } = await setUp(t, transport)
      await calls(2)
      mesh.source.replace({ ...mesh.source.current, clusters: new Map() })
      assert.deepEqual(take(loads), ['eu 1/1/0/0', 'us 1/1/0/0'])
      assert.equal(loads.isWanted, false)
    })
  })
}
