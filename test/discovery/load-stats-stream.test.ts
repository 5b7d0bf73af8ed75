import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { create, toJson } from '@bufbuild/protobuf'
import { durationFromMs } from '@bufbuild/protobuf/wkt'
import { parseBootstrap } from '../../src/discovery/bootstrap.ts'
import { type LoadStatsRequest, LoadStatsRequestSchema } from '../../src/discovery/gen/envoy/service/load_stats/v3/lrs_pb.ts'
import type { XdsStreamStatus } from '../../src/discovery/grpc-status.ts'
import { LoadReporting } from '../../src/discovery/load-reporting.ts'
import { type LoadStatsResponse, loadStatsTransport } from '../../src/discovery/load-stats-stream.ts'
import type { ClusterLoad, LoadSource } from '../../src/discovery/model/cluster-load.ts'
import { createXdsConfigSource } from '../../src/discovery/xds-config-source.ts'
import { completeNode } from '../../src/discovery/xds-node.ts'
import type { XdsServer } from '../../src/discovery/xds-server.ts'
import { XdsTransport } from '../../src/discovery/xds-stream.ts'
import { silentLogger, systemRuntime } from '../../src/runtime.ts'
import { FakeAdsServer, type FakeAdsServerOptions } from '../support/fake-ads-server.ts'
import { FakeLoadStatsServer } from '../support/fake-load-stats-server.ts'
import { unusedPort } from '../support/http-upstream.ts'
import { serviceMessages } from '../support/xds-resources.ts'

const node = completeNode({ id: 'me', cluster: 'c' }, {}, { hostname: 'h', pid: 1, unique: 'u' })
const runtime = { ...systemRuntime, logger: silentLogger }
const serverOf = (uri: string): XdsServer => ({
  uri,
  credentials: { kind: 'insecure' },
  callCredentials: [],
  features: [],
  delta: false,
})

function open(t: TestContext, target: string) {
  const transport = new XdsTransport(serverOf(target), systemRuntime)
  t.after(() => transport.close())
  const answered = Promise.withResolvers<LoadStatsResponse>()
  const ended = Promise.withResolvers<XdsStreamStatus>()
  const stream = loadStatsTransport(transport).open({
    onConnected() {},
    onResponse: async response => answered.resolve(response),
    onEnd: ended.resolve,
  })
  return { stream, answered: answered.promise, ended: ended.promise }
}

const load: ClusterLoad = {
  cluster: 'reviews',
  edsServiceName: 'reviews-service',
  intervalMs: 10_500,
  dropped: 3,
  droppedByCategory: new Map([['lb', 2]]),
  localities: [
    {
      locality: { region: 'eu', zone: 'a', subZone: '' },
      issued: 5,
      succeeded: 3,
      failed: 1,
      inProgress: 1,
      metrics: new Map([
        ['cpu_utilization', { count: 2, total: 0.75 }],
        ['named_metrics.queue', { count: 1, total: 8 }],
      ]),
    },
  ],
}

const clusterStatsOf = (request: LoadStatsRequest) => toJson(LoadStatsRequestSchema, create(LoadStatsRequestSchema, request))

test('every count is in its field, and metrics where gRFC A64 and A85 put them', async t => {
  const { fake, target } = await FakeLoadStatsServer.start(t)
  const { stream, answered } = open(t, target)
  stream.send({ node, loads: [] })
  const first = await fake.request(0)
  assert.deepEqual([first.node?.id, first.clusterStats.length], ['me', 0])
  fake.send({ sendAllClusters: true, loadReportingInterval: durationFromMs(2_500) })
  assert.deepEqual(await answered, { clusters: null, intervalMs: 2_500 })
  stream.send({ node: undefined, loads: [load] })
  assert.deepEqual(clusterStatsOf(await fake.request(1)), {
    clusterStats: [
      {
        clusterName: 'reviews',
        clusterServiceName: 'reviews-service',
        totalDroppedRequests: '3',
        droppedRequests: [{ category: 'lb', droppedCount: '2' }],
        loadReportInterval: '10.500s',
        upstreamLocalityStats: [
          {
            locality: { region: 'eu', zone: 'a' },
            totalIssuedRequests: '5',
            totalSuccessfulRequests: '3',
            totalErrorRequests: '1',
            totalRequestsInProgress: '1',
            cpuUtilization: { numRequestsFinishedWithMetric: '2', totalMetricValue: 0.75 },
            loadMetricStats: [{ metricName: 'named_metrics.queue', numRequestsFinishedWithMetric: '1', totalMetricValue: 8 }],
          },
        ],
      },
    ],
  })
})

test('clusters are wanted by name, the first too (defect 14)', async t => {
  const { fake, target } = await FakeLoadStatsServer.start(t)
  const { stream, answered } = open(t, target)
  stream.send({ node, loads: [] })
  await fake.request(0)
  fake.send({ clusters: ['a', 'b'], loadReportingInterval: durationFromMs(1_000) })
  assert.deepEqual(await answered, { clusters: new Set(['a', 'b']), intervalMs: 1_000 })
})

test('a response without an interval ends the stream', async t => {
  const { fake, target } = await FakeLoadStatsServer.start(t)
  const { stream, ended } = open(t, target)
  stream.send({ node, loads: [] })
  await fake.request(0)
  fake.send({ sendAllClusters: true })
  assert.deepEqual(await ended, { code: 13, message: 'load_reporting_interval: must be > 0, got 0 ms' })
})

test('the last report of a cluster that leaves arrives before the stream ends', async t => {
  const { fake, target } = await FakeLoadStatsServer.start(t)
  const transport = new XdsTransport(serverOf(target), systemRuntime)
  t.after(() => transport.close())
  const loads = {
    ...someLoad,
    isWanted: true,
    take() {
      this.isWanted = false
      // More than a window of HTTP/2 takes.
      return Array.from({ length: 5_000 }, () => load)
    },
  }
  const reporting = new LoadReporting({ runtime, node, transports: [loadStatsTransport(transport)], loads })
  t.after(() => reporting.close())
  await fake.request(0)
  fake.send({ sendAllClusters: true, loadReportingInterval: durationFromMs(100) })
  assert.equal((await fake.request(1)).clusterStats[0]?.clusterName, 'reviews')
  await fake.idle()
  assert.equal(fake.streams, 1)
})

/** Has something to report, always. */
const someLoad: LoadSource = { isWanted: true, take: () => [load], forgetLeft() {}, onWanted: listener => listener() }

async function startServer(t: TestContext, options: FakeAdsServerOptions): Promise<FakeAdsServer> {
  const server = await FakeAdsServer.start(options)
  t.after(() => server.stop())
  server.set(...serviceMessages('reviews', '10.0.0.1:80'))
  return server
}

function connect(t: TestContext, ...targets: readonly string[]) {
  const servers = targets.map(uri => ({ server_uri: uri, channel_creds: [{ type: 'insecure' }] }))
  const bootstrap = parseBootstrap({ xds_servers: servers, node: { id: 'me' } }, 'test', {})
  const source = createXdsConfigSource({ bootstrap, runtime })
  t.after(() => source.close())
  return source
}

test('reports share the connection of the configuration, and go where it comes from (gRFC A71)', async t => {
  const loadStats = new FakeLoadStatsServer()
  const server = await startServer(t, { loadStats })
  const source = connect(t, `127.0.0.1:${await unusedPort()}`, server.target)
  source.watch('reviews')
  source.reportLoads({ part: () => someLoad })
  assert.equal((await loadStats.request(0)).node?.id, 'me')
  loadStats.send({ sendAllClusters: true, loadReportingInterval: durationFromMs(100) })
  assert.equal((await loadStats.request(1)).clusterStats[0]?.clusterName, 'reviews')
  await source.close()
  await loadStats.idle()
})

test('a control plane that takes no reports serves the configuration undisturbed', async t => {
  const server = await startServer(t, {})
  const refused = Promise.withResolvers<void>()
  const warn = (message: string) => {
    if (message.startsWith(`load reports to ${server.target}: `)) refused.resolve()
  }
  const servers = [{ server_uri: server.target, channel_creds: [{ type: 'insecure' }] }]
  const bootstrap = parseBootstrap({ xds_servers: servers, node: { id: 'me' } }, 'test', {})
  const source = createXdsConfigSource({ bootstrap, runtime: { ...runtime, logger: { ...silentLogger, warn } } })
  t.after(() => source.close())
  source.watch('reviews')
  await new Promise<void>(resolve => void source.on('connected', () => resolve()))
  source.reportLoads({ part: () => someLoad })
  await refused.promise
  assert.deepEqual([source.status().connected, source.status().lastError, server.openStreams], [true, undefined, 1])
})

test('the last report of a client that is closed has arrived when it is', async t => {
  const { fake, target } = await FakeLoadStatsServer.start(t)
  const transport = new XdsTransport(serverOf(target), systemRuntime)
  let taken = 0
  const loads: LoadSource = {
    isWanted: true,
    take: () => {
      taken++
      return [load]
    },
    forgetLeft() {},
    onWanted: listener => listener(),
  }
  const reporting = new LoadReporting({ runtime, node, transports: [loadStatsTransport(transport)], loads })
  await fake.request(0)
  fake.send({ sendAllClusters: true, loadReportingInterval: durationFromMs(100) })
  await fake.request(1)
  const before = taken
  await reporting.close()
  transport.close()
  assert.ok(taken > before)
  assert.equal(fake.requests.length, 1 + taken)
})
