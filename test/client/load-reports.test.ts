import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { request } from 'undici'
import { grpcClientOn } from '../../src/client/grpc/grpc-client.ts'
import { MeshChannel } from '../../src/client/grpc/mesh-channel.ts'
import type { ClientSideWeightedRoundRobin } from '../../src/policies/load-balancing/config.ts'
import { makeCluster, makeRoute, makeTarget, makeVirtualHost } from '../support/fake-config-source.ts'
import { callUnary, EchoClient, startGrpcBackend, type UnaryAnswer } from '../support/grpc-backend.ts'
import { startUpstream } from '../support/http-upstream.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { makeMesh } from '../support/test-mesh.ts'
import { until } from '../support/until.ts'

const weighing: ClientSideWeightedRoundRobin = {
  kind: 'client-side-weighted-round-robin',
  oobReportingPeriodMs: 0,
  blackoutPeriodMs: 0,
  weightExpirationPeriodMs: 180_000,
  weightUpdatePeriodMs: 1000,
  errorUtilizationPenalty: 1,
  utilizationMetricNames: [],
}
/** Of two endpoints: the second is four times as busy. */
const utilizations = [0.2, 0.8]

function meshOf(t: TestContext, addresses: readonly string[], change: Partial<ClientSideWeightedRoundRobin> = {}) {
  const clock = new ManualClock()
  const mesh = makeMesh(t, { clock, random: () => 0 })
  mesh.source.set({
    targets: { echo: makeTarget([makeVirtualHost([makeRoute('c')])]) },
    clusters: [makeCluster('c', addresses, { loadBalancing: { ...weighing, ...change } })],
  })
  const channel = (target: string) => new MeshChannel(mesh.plane, authority => mesh.plane.watch(authority, 'http'), target)
  const client = grpcClientOn({ channel }, EchoClient, 'xds:///echo', {})
  t.after(() => client.close())
  return { ...mesh, clock, channel, client }
}

const reportOf = (utilization: number) => {
  const bytes = Buffer.alloc(18)
  bytes[0] = 6 * 8 + 1
  bytes.writeDoubleLE(100, 1)
  bytes[9] = 9 * 8 + 1
  bytes.writeDoubleLE(utilization, 10)
  return bytes
}

type ReportStream = grpc.ServerWritableStream<Buffer, Buffer>

/** Adds the ORCA service to a server. */
function serveReports(server: grpc.Server, handle: (call: ReportStream) => void): void {
  const bytes = (value: Buffer) => value
  const definition = {
    path: '/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics',
    requestStream: false,
    responseStream: true,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  }
  server.addService({ StreamCoreMetrics: definition }, { StreamCoreMetrics: handle })
}

describe('the load that endpoints report weighs them', () => {
  test('what an endpoint reported before it was connected anew does not count any more (A58)', async t => {
    const answer: UnaryAnswer = (call, callback) => {
      const trailers = new grpc.Metadata()
      trailers.set('endpoint-load-metrics-bin', reportOf(0.5))
      callback(null, call.request, trailers)
      return true
    }
    const backend = await startGrpcBackend(t, answer)
    const { client, clock, plane } = meshOf(t, [backend.address], { blackoutPeriodMs: 10_000 })
    const weight = () => {
      const endpoint = [...(plane.clusters.handle('c').cluster?.endpoints() ?? [])][0]
      return endpoint?.reportedWeight?.current({ ...weighing, blackoutPeriodMs: 10_000 }, clock.now())
    }
    await callUnary(client, 'x')
    clock.advance(10_000)
    assert.equal(weight(), 200)
    backend.kill()
    await startGrpcBackend(t, answer, { port: backend.port })
    await until(async () => (await callUnary(client, 'x')).code === 0)
    assert.equal(weight(), 0)
    clock.advance(10_000)
    await callUnary(client, 'x')
    assert.equal(weight(), 200)
  })

  test('in the trailers of gRPC calls', async t => {
    const backends = await Promise.all(
      utilizations.map(utilization =>
        startGrpcBackend(t, (call, callback) => {
          const trailers = new grpc.Metadata()
          trailers.set('endpoint-load-metrics-bin', reportOf(utilization))
          callback(null, call.request, trailers)
          return true
        }),
      ),
    )
    const { client, clock } = meshOf(
      t,
      backends.map(({ address }) => address),
    )
    for (let call = 0; call < 4; call++) await callUnary(client, 'x')
    clock.advance(1000)
    for (let call = 0; call < 20; call++) await callUnary(client, 'x')
    assert.deepEqual(
      backends.map(({ seen }) => seen.length),
      [2 + 16, 2 + 4],
    )
  })

  test('in the headers of HTTP answers', async t => {
    const upstreams = await Promise.all(
      utilizations.map(utilization =>
        startUpstream(t, (_request, response) => {
          response.setHeader('endpoint-load-metrics', `TEXT rps_fractional=100,application_utilization=${utilization}`).end()
        }),
      ),
    )
    const { dispatcher, clock } = meshOf(
      t,
      upstreams.map(({ port }) => `127.0.0.1:${port}`),
    )
    const call = async () => (await request('http://echo/', { dispatcher })).body.dump()
    for (let count = 0; count < 4; count++) await call()
    clock.advance(1000)
    for (let count = 0; count < 20; count++) await call()
    assert.deepEqual(
      upstreams.map(({ seen }) => seen.length),
      [2 + 16, 2 + 4],
    )
  })

  test('on a stream beside the calls, opened again when it ends', async t => {
    const periods: Buffer[] = []
    const streams: ReportStream[] = []
    const opened = Promise.withResolvers<void>()
    const backends = await Promise.all([startGrpcBackend(t), startGrpcBackend(t)])
    for (const [index, { server }] of backends.entries()) {
      serveReports(server, call => {
        periods.push(call.request)
        streams.push(call)
        call.write(reportOf(utilizations[index] ?? 0))
        if (streams.length % 2 === 0) opened.resolve()
      })
    }
    const { client, clock } = meshOf(
      t,
      backends.map(({ address }) => address),
      { oobReportingPeriodMs: 2500 },
    )
    for (let call = 0; call < 4; call++) await callUnary(client, 'x')
    await opened.promise
    assert.deepEqual(
      periods.map(period => period.toString('hex')),
      Array.from({ length: 2 }, () => '0a0808021080cab5ee01'),
    )
    // The reports were written before these answers.
    for (let call = 0; call < 2; call++) await callUnary(client, 'x')
    clock.advance(1000)
    for (let call = 0; call < 20; call++) await callUnary(client, 'x')
    assert.deepEqual(
      backends.map(({ seen }) => seen.length),
      [3 + 16, 3 + 4],
    )
    for (const stream of streams.slice()) stream.end()
    await until(
      () => streams.length >= 4,
      () => clock.advanceAsync(1000),
    )
  })

  test('on a stream that goes on when the client is closed whose connection carried it', async t => {
    const backend = await startGrpcBackend(t)
    const streams: ReportStream[] = []
    let opened = Promise.withResolvers<void>()
    serveReports(backend.server, call => {
      streams.push(call)
      opened.resolve()
    })
    const { client, channel, clock } = meshOf(t, [backend.address], { oobReportingPeriodMs: 2500 })
    await callUnary(client, 'x')
    await opened.promise
    const other = grpcClientOn({ channel }, EchoClient, 'xds:///echo', {})
    t.after(() => other.close())
    await callUnary(other, 'x')

    opened = Promise.withResolvers()
    client.close()
    await opened.promise
    for (const stream of streams.slice()) stream.end()
    await until(
      () => streams.length >= 3,
      () => clock.advanceAsync(1000),
    )

    other.close()
    await clock.advanceAsync(1000)
    assert.equal(clock.pendingTimers, 0)
  })
})
