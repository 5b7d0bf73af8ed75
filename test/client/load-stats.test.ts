import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ClusterCounters, CountedEndpoint } from '../../src/client/cluster-counters.ts'
import { LoadStats } from '../../src/client/load-stats.ts'
import type { ClusterConfig } from '../../src/discovery/model/cluster.ts'
import type { ClusterLoad } from '../../src/discovery/model/cluster-load.ts'
import { loadReportOf } from '../../src/policies/load-report.ts'
import { makeCluster } from '../support/fake-config-source.ts'
import { ManualClock } from '../support/manual-clock.ts'

function configOf(name: string, change: Partial<ClusterConfig> = {}): ClusterConfig {
  const state = makeCluster(name, [], { loadReporting: { metrics: [] }, ...change })
  assert.ok(state.kind === 'ready')
  return state.config
}

const endpointIn = (region: string): CountedEndpoint => ({ locality: { region, zone: '', subZone: '' }, load: null })

function open(stats: LoadStats, name: string): ClusterCounters {
  const counters = stats.open(configOf(name))
  assert.ok(counters)
  return counters
}

function setUp(...regions: readonly string[]) {
  const clock = new ManualClock()
  const stats = new LoadStats(clock)
  const counters = open(stats, 'c')
  const endpoints = regions.map(endpointIn)
  counters.assign(endpoints)
  const loads = endpoints.map(({ load }) => {
    assert.ok(load)
    return load
  })
  return { clock, stats, counters, endpoints, loads }
}

/** `c in 10000: eu 3/2/1/0` issued, succeeded, failed, in progress. */
const show = (loads: readonly ClusterLoad[]) =>
  loads.map(({ cluster, intervalMs, dropped, localities }) =>
    [
      `${cluster} in ${intervalMs}:`,
      ...localities.map(
        ({ locality, issued, succeeded, failed, inProgress }) =>
          `${locality.region} ${issued}/${succeeded}/${failed}/${inProgress}`,
      ),
      ...(dropped > 0 ? [`-${dropped}`] : []),
    ].join(' '),
  )

test('what is counted is told once, and what is in flight until it has ended', () => {
  const { clock, stats, loads } = setUp('eu', 'us')
  const [eu, us] = loads
  eu?.begin()
  eu?.begin()
  eu?.begin()
  eu?.end(true)
  eu?.end(false)
  us?.begin()
  us?.end(true)
  clock.advance(10_000)
  assert.deepEqual(show(stats.take(null)), ['c in 10000: eu 3/1/1/1 us 1/1/0/0'])
  clock.advance(5_000)
  assert.deepEqual(show(stats.take(null)), ['c in 5000: eu 0/0/0/1'])
  eu?.end(true)
  clock.advance(1_000)
  assert.deepEqual(show(stats.take(null)), ['c in 1000: eu 0/1/0/0'])
  assert.deepEqual(stats.take(null), [])
})

test('endpoints of one locality share its counters', () => {
  const { loads } = setUp('eu', 'us', 'eu')
  assert.equal(loads[0], loads[2])
  assert.notEqual(loads[0], loads[1])
})

test('drops are counted by category, and those of a circuit breaker without one', () => {
  const { stats, counters } = setUp()
  for (const category of ['lb', 'throttle', 'lb', null]) counters.drop(category)
  const [load] = stats.take(null)
  assert.equal(load?.dropped, 4)
  assert.deepEqual(load?.droppedByCategory, new Map([['lb', 2]]).set('throttle', 1))
  assert.deepEqual(stats.take(null), [])
})

test('metrics are told once, and only those that were asked for', () => {
  const { stats, loads } = setUp('eu')
  const report = loadReportOf(name => (name === 'endpoint-load-metrics' ? 'TEXT named_metrics.a=2,cpu_utilization=1' : undefined))
  assert.ok(report)
  const entry = { kind: 'entry', name: 'named_metrics.a', map: 'namedMetrics', key: 'a' } as const
  loads[0]?.addReport(report, [entry])
  loads[0]?.addReport(report, [entry])
  assert.deepEqual(stats.take(null)[0]?.localities[0]?.metrics, new Map([['named_metrics.a', { count: 2, total: 4 }]]))
  assert.deepEqual(stats.take(null), [])
})

test('defect 14: every cluster that is named is told, the first too, and the others keep what they have', () => {
  const { stats, loads } = setUp('eu')
  loads[0]?.begin()
  const other = open(stats, 'd')
  other.drop(null)
  assert.deepEqual(show(stats.take(new Set(['c']))), ['c in 0: eu 1/0/0/1'])
  assert.deepEqual(show(stats.take(new Set(['d']))), ['d in 0: -1'])
})

test('defect 14: counters outlive an update of their cluster, and go with it once they are told', () => {
  const { stats, counters, loads } = setUp('eu')
  loads[0]?.begin()
  assert.equal(open(stats, 'c'), counters)
  counters.release()
  const endpoint = endpointIn('eu')
  counters.assign([endpoint])
  assert.equal(endpoint.load, loads[0])
  endpoint.load?.begin()
  counters.release()
  assert.deepEqual(show(stats.take(null)), ['c in 0: eu 2/0/0/2'])
  endpoint.load?.end(true)
  assert.equal(stats.isWanted, true, 'one is in flight')
  loads[0]?.end(true)
  assert.deepEqual(show(stats.take(null)), ['c in 0: eu 0/2/0/0'])
  assert.equal(stats.isWanted, false)
  assert.notEqual(open(stats, 'c'), counters)
})

test('a locality that has left is told until nothing of it is in flight', () => {
  const { stats, counters, loads } = setUp('eu')
  loads[0]?.begin()
  counters.assign([endpointIn('us')])
  assert.deepEqual(show(stats.take(null)), ['c in 0: eu 1/0/0/1'])
  loads[0]?.end(true)
  assert.deepEqual(show(stats.take(null)), ['c in 0: eu 0/1/0/0'])
  const back = endpointIn('eu')
  counters.assign([back])
  assert.notEqual(back.load, loads[0])
})

test('clusters that leave while nobody takes reports do not pile up', () => {
  const stats = new LoadStats(new ManualClock())
  for (let index = 0; index < 1500; index++) {
    const counters = open(stats, `c${index}`)
    counters.drop(null)
    counters.release()
  }
  const told = stats.take(null)
  assert.deepEqual([told.length, told[0]?.cluster, told.at(-1)?.cluster], [1000, 'c500', 'c1499'])
  open(stats, 'left').release()
  stats.forgetLeft()
  assert.equal(stats.isWanted, false)
})

test('a cluster that is not reported costs nothing, and the first that is wakes the reporter', () => {
  const stats = new LoadStats(new ManualClock())
  let woken = 0
  stats.onWanted(() => woken++)
  assert.equal(stats.open(configOf('c', { loadReporting: undefined })), null)
  assert.equal(stats.open(configOf('a', { discovery: { kind: 'aggregate', clusters: ['c'] } })), null)
  assert.equal(woken, 0)
  open(stats, 'c')
  open(stats, 'd')
  assert.equal(woken, 1)
})

test('the EDS service name is told where there is one', () => {
  const stats = new LoadStats(new ManualClock())
  const assignment = { name: 'd', localities: [], dropOverloads: [], overprovisioningFactor: 140 }
  stats.open(configOf('c', { discovery: { kind: 'eds', edsServiceName: 'service' } }))?.drop(null)
  stats.open(configOf('d', { discovery: { kind: 'static', assignment } }))?.drop(null)
  assert.deepEqual(
    stats.take(null).map(({ edsServiceName }) => edsServiceName),
    ['service', ''],
  )
})
