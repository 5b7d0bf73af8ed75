import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import * as grpc from '@grpc/grpc-js'
import { type GrpcWorkload, serveGrpc } from '../../src/server/grpc-server.ts'
import { Inbound } from '../../src/server/inbound.ts'
import type { ListeningWorkload } from '../../src/server/mesh-server.ts'
import { MeshTelemetry } from '../../src/telemetry/create-telemetry.ts'
import { currentScope } from '../../src/telemetry/request-scope.ts'
import { callUnary, EchoClient, echoDefinition } from '../support/grpc-backend.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { connectSilentPeer } from '../support/silent-peer.ts'
import { until } from '../support/until.ts'

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00'
const call = { isGrpc: true, method: 'POST', scheme: 'http', authority: 'b', path: '/s/m', startedAtWall: 0 }
const bytes = (value: Buffer) => value
const HealthClient = grpc.makeClientConstructor(
  {
    Check: health('Check', false),
    Watch: health('Watch', true),
  },
  'Health',
) as unknown as new (
  address: string,
  credentials: grpc.ChannelCredentials,
) => grpc.Client & {
  Check(service: string, callback: (error: grpc.ServiceError | null, status?: number) => void): void
  Watch(service: string): grpc.ClientReadableStream<number>
}

function health(name: string, responseStream: boolean) {
  return {
    path: `/grpc.health.v1.Health/${name}`,
    requestStream: false,
    responseStream,
    requestSerialize: (service: string) =>
      service === '' ? Buffer.alloc(0) : Buffer.concat([Buffer.from([10, service.length]), Buffer.from(service)]),
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: (message: Buffer) => message[1] ?? 0,
  }
}

interface Started {
  readonly workload: GrpcWorkload
  readonly clock: ManualClock
  readonly telemetry: MeshTelemetry
  readonly told: string[]
  readonly echo: EchoClient
  readonly healthClient: InstanceType<typeof HealthClient>
}

/** A server whose unary method does `unary`, in the mesh. */
async function start(t: TestContext, unary: grpc.handleUnaryCall<Buffer, Buffer>): Promise<Started> {
  const clock = new ManualClock()
  const telemetry = new MeshTelemetry({ service: 'ratings', runtime: { clock, random: seededRandom(1) } })
  const told: string[] = []
  const registrar = {
    register: ({ address, port, protocol }: ListeningWorkload) => told.push(`register ${protocol} ${address}:${port}`),
    deregister: ({ port }: ListeningWorkload) => told.push(`deregister ${port}`),
  }
  const server = new grpc.Server({ 'grpc.server_call_metric_recording': 1 })
  const streaming = () => {}
  server.addService(echoDefinition, { Unary: unary, ClientStream: streaming, ServerStream: streaming, Bidi: streaming })
  const environment = { inbound: new Inbound(telemetry), clock, registrar, gate: null, address: undefined }
  const workload = await serveGrpc(server, { host: '127.0.0.1', reportsLoad: true }, environment, telemetry, grpc)
  const address = `127.0.0.1:${workload.port}`
  const echo = new EchoClient(address, grpc.credentials.createInsecure())
  const healthClient = new HealthClient(address, grpc.credentials.createInsecure())
  t.after(() => {
    echo.close()
    healthClient.close()
    server.forceShutdown()
  })
  return { workload, clock, telemetry, told, echo, healthClient }
}

const echoUnary: grpc.handleUnaryCall<Buffer, Buffer> = ({ request }, callback) => callback(null, request)

const check = ({ healthClient }: Started, service: string) =>
  new Promise<number>(resolve =>
    healthClient.Check(service, (error, status) => resolve(error === null ? (status ?? 0) : -error.code)),
  )

describe('a gRPC server of the mesh', () => {
  test('registers itself with the port that it got', async t => {
    const { told, workload } = await start(t, echoUnary)
    assert.deepEqual(told, [`register grpc 127.0.0.1:${workload.port}`])
  })

  test('its handlers run inside the trace and the deadline of the caller', async t => {
    const seen: (string | undefined)[] = []
    const { echo, telemetry } = await start(t, ({ request }, callback) => {
      seen.push(telemetry.startSpan(call)?.traceparent)
      void setImmediate().then(() => {
        seen.push(telemetry.startSpan(call)?.traceparent)
        callback(null, request)
      })
    })
    const metadata = new grpc.Metadata()
    metadata.set('traceparent', traceparent)
    assert.equal((await callUnary(echo, 'x', { metadata })).code, 0)
    assert.deepEqual(seen, [traceparent, traceparent])
  })

  test('C4, C5: what a caller says of its time and its attempts shortens the one, and does nothing with the other', async t => {
    const seen: number[] = []
    const { echo } = await start(t, ({ request }, callback) => {
      seen.push(currentScope()?.deadlineAt ?? 0)
      callback(null, request)
    })
    const metadata = new grpc.Metadata()
    metadata.set('grpc-previous-rpc-attempts', '4294967295')
    const week = 7 * 86_400_000
    for (const deadline of [undefined, Date.now() + week])
      assert.equal((await callUnary(echo, 'x', { metadata, ...(deadline === undefined ? {} : { deadline }) })).code, 0)
    assert.equal(seen[0], 0)
    assert.ok((seen[1] ?? 0) > week - 60_000 && (seen[1] ?? 0) <= week + 60_000, String(seen[1]))
  })

  test('its calls are counted by method and status', async t => {
    const { echo, telemetry } = await start(t, (_call, callback) => callback({ code: grpc.status.NOT_FOUND, details: 'gone' }))
    await callUnary(echo, 'x')
    await until(() => telemetry.stats.inbound.active === 0)
    const families = new Map(telemetry.stats.collect().map(family => [family.name, family]))
    assert.deepEqual(families.get('rpc.server.call.duration')?.points[0]?.attributes, {
      'rpc.system.name': 'grpc',
      'rpc.method': 'test.Echo/Unary',
      'rpc.status_code': 'NOT_FOUND',
      'inmesh.connection.security_policy': 'none',
      'inmesh.destination.service': 'ratings',
    })
    assert.deepEqual(families.get('grpc.server.call.started')?.points[0], {
      attributes: { 'grpc.method': 'test.Echo/Unary' },
      value: 1,
    })
    assert.deepEqual(families.get('grpc.server.call.duration')?.points[0]?.attributes, {
      'grpc.method': 'test.Echo/Unary',
      'grpc.status': 'NOT_FOUND',
    })
  })

  test('tells its health, whole and by service', async t => {
    const started = await start(t, echoUnary)
    started.workload.setServingStatus('test.Echo', 'NOT_SERVING')
    assert.deepEqual(
      [await check(started, ''), await check(started, 'test.Echo'), await check(started, 'nobody')],
      [1, 2, -grpc.status.NOT_FOUND],
    )
    const watched: number[] = []
    for await (const status of started.healthClient.Watch('nobody')) {
      watched.push(status)
      if (watched.length === 1) started.workload.setServingStatus('nobody', 'SERVING')
      else break
    }
    assert.deepEqual(watched, [3, 1])
  })

  test('drained: out of the mesh and not healthy at once, the calls in flight answered, and the server gone', async t => {
    let answer = () => {}
    const started = await start(t, ({ request }, callback) => {
      answer = () => callback(null, request)
    })
    const { workload, clock, echo, told } = started
    const held = callUnary(echo, 'x')
    await until(() => started.telemetry.stats.inbound.active > 0)
    const drained = workload.drain({ propagationMs: 500, deadlineMs: 1000 })
    assert.equal(told.at(-1), `deregister ${workload.port}`)
    assert.equal(await check(started, ''), 2)
    clock.advance(500)
    answer()
    assert.equal((await held).code, 0)
    await drained
    const refused = await callUnary(echo, 'x')
    assert.equal(refused.code, grpc.status.UNAVAILABLE)
  })

  test('drained: what is not answered by the deadline is given up', async t => {
    const started = await start(t, () => {})
    const held = callUnary(started.echo, 'x')
    await until(() => started.telemetry.stats.inbound.active > 0)
    const drained = started.workload.drain({ propagationMs: 500, deadlineMs: 1000 })
    started.clock.advance(500)
    await setImmediate()
    started.clock.advance(1000)
    await drained
    assert.notEqual((await held).code, 0)
  })

  test('drained: a peer that never hangs up is cut off at the deadline', async t => {
    const { workload, clock } = await start(t, () => {})
    await connectSilentPeer(t, workload.port)
    const drained = workload.drain({ propagationMs: 500, deadlineMs: 1000 })
    clock.advance(500)
    await until(() => clock.pendingTimers > 0)
    clock.advance(1000)
    await drained
  })

  test('A51: tells of its load out of band, and of the cost of a call in its trailers', async t => {
    const { workload, echo } = await start(t, (call, callback) => {
      call.getMetricsRecorder().recordCPUUtilizationMetric(0.25)
      callback(null, call.request)
    })
    workload.loadMetrics?.setCpuUtilizationMetric(0.5)
    const serialize = (value: Buffer) => value
    const stream = echo.makeServerStreamRequest(
      '/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics',
      serialize,
      serialize,
      // OrcaLoadReportRequest { report_interval = 1 { nanos = 2: 1,000,000 } }
      Buffer.from('0a0410c0843d', 'hex'),
    )
    stream.on('error', () => {})
    // OrcaLoadReport { double cpu_utilization = 1 }
    const [report] = (await once(stream, 'data')) as [Buffer]
    assert.deepEqual([report[0], report.readDoubleLE(1)], [9, 0.5])
    stream.cancel()
    const call = echo.Unary(Buffer.from('x'), () => {})
    const [{ metadata }] = (await once(call, 'status')) as [grpc.StatusObject]
    const [trailer] = metadata.get('endpoint-load-metrics-bin') as [Buffer]
    assert.deepEqual([trailer[0], trailer.readDoubleLE(1)], [9, 0.25])
  })
})
