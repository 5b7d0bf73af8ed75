import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { create, type Message } from '@bufbuild/protobuf'
import * as grpc from '@grpc/grpc-js'
import {
  type Configuration,
  type ControlPlane,
  type ControlPlaneOptions,
  DiscoveryService,
  type LoadReport,
  startControlPlane,
  systemClock,
} from '@inmesh/control-plane'
import { ConfigSourceSchema } from '../../src/discovery/gen/envoy/config/core/v3/config_source_pb.ts'
import { ClusterLoadAssignment_PolicySchema } from '../../src/discovery/gen/envoy/config/endpoint/v3/endpoint_pb.ts'
import { FractionalPercent_DenominatorType } from '../../src/discovery/gen/envoy/type/v3/percent_pb.ts'
import { typeUrls } from '../../src/discovery/resource-type.ts'
import { createMesh, type Mesh, silentLogger } from '../../src/index.ts'
import { callUnary, EchoClient, startGrpcBackend } from '../support/grpc-backend.ts'
import { startUpstream } from '../support/http-upstream.ts'
import { until } from '../support/until.ts'
import { assignmentMessage, clusterMessage, listenerMessage, routeMessage } from '../support/xds-resources.ts'

const entry = (protocol: string, ports: readonly number[]) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: echo, namespace: default }
spec:
  hosts: [echo.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 9080, name: main, protocol: ${protocol} }]
  endpoints:
${ports.map((port, index) => `  - { address: 127.0.0.1, ports: { main: ${port} }, locality: ${['eu/a', 'us/b'][index]} }`).join('\n')}
`

async function setUp(t: TestContext, yaml: string, loadReporting: ControlPlaneOptions['loadReporting'] = { intervalMs: 100 }) {
  const config = mkdtempSync(join(tmpdir(), 'inmesh-loads-'))
  t.after(() => rmSync(config, { recursive: true, force: true }))
  writeFileSync(join(config, 'mesh.yaml'), yaml)
  const controlPlane = await startControlPlane({ config, xdsPort: 0, loadReporting })
  t.after(() => controlPlane.close())
  return { controlPlane, mesh: await frontendOf(t, controlPlane.xdsAddress) }
}

async function frontendOf(t: TestContext, xdsAddress: string): Promise<Mesh> {
  const env = { INMESH_CONTROL_PLANE: xdsAddress, INMESH_SERVICE: 'frontend', INMESH_NODE_ID: 'frontend~1' }
  const mesh = await createMesh({ env, hosts: ['echo.test:9080'], runtime: { logger: silentLogger } })
  t.after(() => mesh.close())
  return mesh
}

/** The report of the one cluster that is called, once it says so many calls have ended. */
const reportOf = (controlPlane: Pick<ControlPlane, 'loadReports'>, ended: number): Promise<LoadReport> =>
  until(() => {
    const [report, ...others] = controlPlane.loadReports()
    const sum = report?.localities.reduce((total, { succeeded, failed }) => total + succeeded.total + failed.total, 0) ?? 0
    assert.equal(others.length, 0)
    return report !== undefined && sum + report.dropped.total >= ended && report
  })

const rowsOf = ({ localities }: LoadReport) =>
  localities
    .map(
      ({ region, zone, issued, succeeded, failed, inProgress }) =>
        `${region}/${zone} ${issued.total} ${succeeded.total} ${failed.total} ${inProgress}`,
    )
    .sort()

const get = async (mesh: Mesh, path: string) => {
  const answer = await mesh.fetch(`http://echo.test:9080${path}`)
  await answer.arrayBuffer()
  return answer.status
}

function grpcCaller(t: TestContext, mesh: Mesh) {
  const client = mesh.grpcClient(EchoClient, 'xds:///echo.test:9080')
  t.after(() => client.close())
  return client
}

test('HTTP: the control plane hears of every call, in its locality', async t => {
  const upstreams = await Promise.all(
    ['eu', 'us'].map(() => startUpstream(t, ({ url }, response) => response.writeHead(url === '/bad' ? 400 : 200).end())),
  )
  const { mesh, controlPlane } = await setUp(
    t,
    entry(
      'HTTP',
      upstreams.map(({ port }) => port),
    ),
  )
  for (let call = 0; call < 40; call++) await get(mesh, '/')
  for (let call = 0; call < 10; call++) await get(mesh, '/bad')
  const report = await reportOf(controlPlane, 50)
  const [eu, us] = upstreams.map(({ seen }) => seen.length)
  assert.equal((eu ?? 0) + (us ?? 0), 50)
  assert.deepEqual(rowsOf(report), [`eu/a ${eu} ${eu} 0 0`, `us/b ${us} ${us} 0 0`])
  assert.deepEqual([report.nodeId, report.service, report.cluster], ['frontend~1', 'frontend', 'outbound|9080||echo.test'])
})

test('gRPC: the control plane hears of every call, in its locality, and of the metrics that it asked for', async t => {
  const backends = await Promise.all(
    ['eu', 'us'].map(() =>
      startGrpcBackend(t, ({ request }, callback) => {
        const trailers = new grpc.Metadata()
        trailers.set('endpoint-load-metrics', 'TEXT cpu_utilization=0.5,named_metrics.queue=3,named_metrics.other=1')
        if (request.toString() === 'bad') callback({ code: grpc.status.NOT_FOUND, details: 'none', metadata: trailers })
        else callback(null, request, trailers)
        return true
      }),
    ),
  )
  const ports = backends.map(({ port }) => port)
  const { mesh, controlPlane } = await setUp(t, entry('GRPC', ports), {
    intervalMs: 100,
    endpointMetrics: ['cpu_utilization', 'named_metrics.queue'],
  })
  const client = grpcCaller(t, mesh)
  for (let call = 0; call < 40; call++) await callUnary(client, 'x')
  for (let call = 0; call < 10; call++) await callUnary(client, 'bad')
  const { localities } = await reportOf(controlPlane, 50)
  const sum = (of: (row: LoadReport['localities'][number]) => number) => localities.reduce((total, row) => total + of(row), 0)
  assert.deepEqual(
    [sum(({ issued }) => issued.total), sum(({ succeeded }) => succeeded.total), sum(({ failed }) => failed.total)],
    [50, 40, 10],
  )
  const seen = backends.map(({ seen: calls }) => calls.length)
  assert.deepEqual(localities.map(({ issued }) => issued.total).sort(), seen.sort())
  assert.deepEqual(
    ['cpu_utilization', 'named_metrics.queue', 'named_metrics.other'].map(name => [
      sum(({ metrics }) => metrics[name]?.count ?? 0),
      sum(({ metrics }) => metrics[name]?.total ?? 0),
    ]),
    [
      [50, 25],
      [50, 150],
      [0, 0],
    ],
  )
})

test('calls that a circuit breaker refuses are heard of as dropped', async t => {
  const late: (() => void)[] = []
  const upstream = await startUpstream(t, (_seen, response) => late.push(() => response.end()))
  const rule = `
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: echo, namespace: default }
spec:
  host: echo.test
  trafficPolicy: { connectionPool: { http: { http2MaxRequests: 1 } } }
`
  const { mesh, controlPlane } = await setUp(t, entry('HTTP', [upstream.port]) + rule)
  const first = get(mesh, '/')
  await until(() => late.length > 0)
  for (let call = 0; call < 3; call++) await assert.rejects(get(mesh, '/'))
  let report = await reportOf(controlPlane, 3)
  assert.deepEqual([report.dropped.total, report.droppedByCategory, rowsOf(report)], [3, {}, ['eu/a 1 0 0 1']])
  for (const answer of late) answer()
  assert.equal(await first, 200)
  report = await reportOf(controlPlane, 4)
  assert.deepEqual(rowsOf(report), ['eu/a 1 1 0 0'])
})

/** One service, of whose requests a category is dropped. */
function droppingConfiguration(port: number, category: string, percent: number): Configuration {
  const [listener, route, cluster, assignment] = [
    listenerMessage('echo.test:9080', 'routes'),
    routeMessage('routes', 'echo'),
    clusterMessage('echo'),
    assignmentMessage('echo', `127.0.0.1:${port}`),
  ]
  const self = create(ConfigSourceSchema, { configSourceSpecifier: { case: 'self', value: {} } })
  const numerator = { numerator: percent, denominator: FractionalPercent_DenominatorType.HUNDRED }
  const policy = create(ClusterLoadAssignment_PolicySchema, { dropOverloads: [{ category, dropPercentage: numerator }] })
  const resources = new Map<string, ReadonlyMap<string, Message>>([
    [typeUrls.listener, new Map([[listener.name, listener]])],
    [typeUrls.routeConfiguration, new Map([[route.name, route]])],
    [typeUrls.cluster, new Map([[cluster.name, { ...cluster, lrsServer: self }]])],
    [typeUrls.clusterLoadAssignment, new Map([[assignment.clusterName, { ...assignment, policy }]])],
  ])
  return {
    viewOf: () => 'all',
    resourcesOf: () => ({ revision: '1', resources }),
    setWorkloads() {},
    onChange() {},
    close() {},
  }
}

test('calls that the control plane has dropped are heard of by category', async t => {
  const upstream = await startUpstream(t)
  const service = await DiscoveryService.start(droppingConfiguration(upstream.port, 'throttle', 40), {
    runtime: { clock: systemClock, logger: silentLogger },
    xdsPort: 0,
    loadReporting: { intervalMs: 100 },
  })
  t.after(() => service.close())
  const mesh = await frontendOf(t, service.xdsAddress)
  let dropped = 0
  for (let call = 0; call < 50; call++) await get(mesh, '/').catch(() => dropped++)
  const report = await reportOf(service, 50)
  assert.ok(dropped > 0 && dropped < 50)
  assert.deepEqual([report.dropped.total, report.droppedByCategory.throttle?.total], [dropped, dropped])
  assert.deepEqual([report.localities[0]?.issued.total, upstream.seen.length], [50 - dropped, 50 - dropped])
})

test('what was counted since the last report is heard of when the mesh is closed', async t => {
  const upstream = await startUpstream(t)
  const { mesh, controlPlane } = await setUp(t, entry('HTTP', [upstream.port]), { intervalMs: 400 })
  for (let call = 0; call < 5; call++) await get(mesh, '/')
  await reportOf(controlPlane, 5)
  for (let call = 0; call < 7; call++) await get(mesh, '/')
  await mesh.close()
  const [report] = controlPlane.loadReports()
  assert.equal(report?.localities[0]?.succeeded.total, 12)
})

test('a control plane that does not ask is told nothing', async t => {
  const upstream = await startUpstream(t)
  const { mesh, controlPlane } = await setUp(t, entry('HTTP', [upstream.port]), false)
  assert.equal(await get(mesh, '/'), 200)
  const cluster = mesh.source?.current.clusters.get('outbound|9080||echo.test')
  assert.equal(cluster?.kind === 'ready' ? cluster.config.loadReporting : cluster, undefined)
  assert.deepEqual(controlPlane.loadReports(), [])
})
