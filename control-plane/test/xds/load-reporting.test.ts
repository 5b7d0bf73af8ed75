import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { durationFromMs, durationMs } from '@bufbuild/protobuf/wkt'
import { ClusterStatsSchema, type UpstreamLocalityStatsSchema } from 'inmesh/gen/envoy/config/endpoint/v3/load_report_pb'
import { LoadStatsRequestSchema, LoadStatsResponseSchema } from 'inmesh/gen/envoy/service/load_stats/v3/lrs_pb'
import { ManualClock } from '../../../test/support/manual-clock.ts'
import { silentLogger } from '../../src/runtime.ts'
import type { GrpcCall, GrpcCallListener } from '../../src/xds/grpc-call.ts'
import { LoadReportingServer, type LoadReportingServerOptions } from '../../src/xds/load-reporting.ts'
import type { StatusCode } from '../../src/xds/status-code.ts'
import { cluster, resourcesOf } from '../support/resources.ts'
import { StaticSource } from '../support/static-source.ts'

type Stats = MessageInitShape<typeof ClusterStatsSchema>
type Node = MessageInitShape<typeof LoadStatsRequestSchema>['node']

const allClusters = 'envoy.lrs.supports_send_all_clusters'
const frontend = { id: 'frontend~1', cluster: 'frontend', clientFeatures: [allClusters] }

/** Plays one stream. */
class FakeReporter implements GrpcCall {
  readonly peer = '127.0.0.1:1'
  readonly congested = false
  readonly frames: Uint8Array[] = []
  ended: StatusCode | undefined
  readonly #listener: GrpcCallListener

  constructor(server: LoadReportingServer) {
    this.#listener = server.connect(this)
  }

  write(frame: Uint8Array): void {
    this.frames.push(frame)
  }

  end(code: StatusCode): void {
    this.ended ??= code
  }

  report(clusterStats: readonly Stats[], node?: Node): void {
    const request = create(LoadStatsRequestSchema, { clusterStats: [...clusterStats], ...(node ? { node } : {}) })
    this.#listener.onMessage(toBinary(LoadStatsRequestSchema, request))
  }

  raw(bytes: Uint8Array): void {
    this.#listener.onMessage(bytes)
  }

  close(): void {
    this.#listener.onClose()
  }

  get wanted() {
    const [frame] = this.frames
    assert.ok(frame)
    const { clusters, sendAllClusters, loadReportingInterval } = fromBinary(LoadStatsResponseSchema, frame.subarray(5))
    return { clusters, sendAllClusters, intervalMs: loadReportingInterval && durationMs(loadReportingInterval) }
  }
}

function setUp(options: Partial<LoadReportingServerOptions> = {}) {
  const clock = new ManualClock()
  const source = new StaticSource(resourcesOf({ clusters: [cluster('a'), cluster('b')] }))
  const server = new LoadReportingServer({ clock, logger: silentLogger, source, ...options })
  return { clock, server, reporter: () => new FakeReporter(server) }
}

function statsOf(
  name: string,
  issued: number,
  inProgress = 0,
  more: Omit<MessageInitShape<typeof UpstreamLocalityStatsSchema>, '$typeName' | '$unknown'> = {},
  rest: Omit<Stats, '$typeName' | '$unknown'> = {},
): Stats {
  return create(ClusterStatsSchema, {
    clusterName: name,
    loadReportInterval: durationFromMs(10_000),
    upstreamLocalityStats: [
      {
        locality: { region: 'eu' },
        totalIssuedRequests: BigInt(issued),
        totalSuccessfulRequests: BigInt(issued),
        totalRequestsInProgress: BigInt(inProgress),
        ...more,
      },
    ],
    ...rest,
  })
}

/** `frontend~1 a eu 30 1/s 2`: total and rate of the requests issued, and those in progress. */
const show = (server: LoadReportingServer) =>
  server
    .reports()
    .flatMap(({ nodeId, cluster: name, localities }) =>
      localities.map(
        ({ region, issued, inProgress }) => `${nodeId} ${name} ${region} ${issued.total} ${issued.perSecond}/s ${inProgress}`,
      ),
    )

test('a client that can is asked for all clusters, and another one for those that it may know', () => {
  const { reporter } = setUp()
  const first = reporter()
  first.report([], frontend)
  assert.deepEqual(first.wanted, { clusters: [], sendAllClusters: true, intervalMs: 10_000 })
  const second = reporter()
  second.report([], { id: 'old' })
  assert.deepEqual(second.wanted, { clusters: ['a', 'b'], sendAllClusters: false, intervalMs: 10_000 })
})

test('a client is asked once, at the interval of the option', () => {
  const { reporter } = setUp({ intervalMs: 2_500 })
  const client = reporter()
  client.report([], frontend)
  client.report([statsOf('a', 1)])
  assert.equal(client.frames.length, 1)
  assert.equal(client.wanted.intervalMs, 2_500)
})

test('counts add up, rates are those of the last report, and what is in flight is what was said last', () => {
  const { server, reporter } = setUp()
  const client = reporter()
  client.report([], frontend)
  client.report([statsOf('a', 20, 3)])
  client.report([statsOf('a', 10, 2)])
  assert.deepEqual(show(server), ['frontend~1 a eu 30 1/s 2'])
  const [report] = server.reports()
  assert.deepEqual([report?.service, report?.localities[0]?.succeeded], ['frontend', { total: 30, perSecond: 1 }])
})

test('what a report leaves out has come to rest', () => {
  const { server, reporter } = setUp()
  const client = reporter()
  client.report([], frontend)
  client.report([statsOf('a', 20, 3), statsOf('b', 10)])
  client.report([statsOf('b', 10), statsOf('b', 0, 0, { locality: { region: 'us' }, totalIssuedRequests: 5n })])
  assert.deepEqual(show(server), ['frontend~1 a eu 20 0/s 0', 'frontend~1 b eu 20 0/s 0', 'frontend~1 b us 5 0.5/s 0'])
})

test('one EDS service in two clusters and one cluster with two EDS services are rows of their own', () => {
  const { server, reporter } = setUp()
  const client = reporter()
  client.report([], frontend)
  client.report([
    statsOf('a', 1, 0, {}, { clusterServiceName: 's' }),
    statsOf('a', 2, 0, {}, { clusterServiceName: 't' }),
    statsOf('b', 3, 0, {}, { clusterServiceName: 's' }),
  ])
  assert.deepEqual(
    server.reports().map(each => `${each.cluster} ${each.edsServiceName} ${each.localities[0]?.issued.total}`),
    ['a s 1', 'a t 2', 'b s 3'],
  )
})

test('drops by category, and metrics', () => {
  const { server, reporter } = setUp()
  const client = reporter()
  const metric = { numRequestsFinishedWithMetric: 2n, totalMetricValue: 0.5 }
  const metrics = { cpuUtilization: metric, loadMetricStats: [{ metricName: 'named_metrics.q', ...metric }] }
  const drops = { totalDroppedRequests: 5n, droppedRequests: [{ category: 'lb', droppedCount: 3n }] }
  const stats = statsOf('a', 0, 0, metrics, drops)
  client.report([], frontend)
  client.report([stats])
  client.report([stats])
  const [report] = server.reports()
  assert.deepEqual(report?.dropped, { total: 10, perSecond: 0.5 })
  assert.deepEqual(report?.droppedByCategory, { lb: { total: 6, perSecond: 0.3 } })
  assert.deepEqual(report?.localities[0]?.metrics, {
    cpu_utilization: { count: 4, total: 1 },
    'named_metrics.q': { count: 4, total: 1 },
  })
})

test('a client that comes back goes on where it was, and one that stays away is forgotten', () => {
  const { server, reporter, clock } = setUp({ retentionMs: 60_000 })
  const first = reporter()
  first.report([], frontend)
  first.report([statsOf('a', 20, 3)])
  first.close()
  assert.deepEqual(show(server), ['frontend~1 a eu 20 0/s 0'])
  clock.advance(59_999)
  const second = reporter()
  second.report([], frontend)
  clock.advance(60_000)
  second.report([statsOf('a', 10)])
  assert.deepEqual(show(server), ['frontend~1 a eu 30 1/s 0'])
  second.close()
  clock.advance(60_000)
  assert.deepEqual(server.reports(), [])
  assert.equal(clock.pendingTimers, 0)
})

test('a cluster of which nothing is heard any more is forgotten', () => {
  const { server, reporter, clock } = setUp({ retentionMs: 60_000 })
  const client = reporter()
  client.report([], frontend)
  client.report([statsOf('a', 20)])
  clock.advance(60_000)
  client.report([])
  assert.equal(server.reports().length, 1)
  clock.advance(1)
  client.report([])
  assert.equal(server.reports().length, 0)
})

test('a client without a name, a broken report and one too many are refused', () => {
  const { server, reporter } = setUp({ maxStreams: 3 })
  const [nameless, broken, third, fourth] = [reporter(), reporter(), reporter(), reporter()]
  nameless.report([], { cluster: 'frontend' })
  broken.raw(Uint8Array.of(0xff))
  assert.deepEqual([nameless.ended, broken.ended, third.ended, fourth.ended], [3, 3, undefined, 8])
  assert.deepEqual(server.reports(), [])
  for (const each of [nameless, broken, third, fourth]) each.close()
  assert.equal(reporter().ended, undefined)
})
