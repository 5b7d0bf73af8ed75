import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { afterEach, suite, type TestContext, test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import {
  ATTR_ERROR_TYPE,
  ATTR_NETWORK_PEER_ADDRESS,
  ATTR_NETWORK_PEER_PORT,
  ATTR_RPC_METHOD,
  ATTR_RPC_STATUS_CODE,
  ATTR_RPC_SYSTEM_NAME,
  ATTR_SERVER_ADDRESS,
  ATTR_SERVER_PORT,
  METRIC_RPC_CLIENT_CALL_DURATION,
} from '@opentelemetry/semantic-conventions'
import { grpcClientOn } from '../../../src/client/grpc/grpc-client.ts'
import { MeshChannel } from '../../../src/client/grpc/mesh-channel.ts'
import { AccessLog } from '../../../src/telemetry/access-log.ts'
import { MeshTelemetry } from '../../../src/telemetry/create-telemetry.ts'
import { HeadSampler } from '../../../src/telemetry/head-sampler.ts'
import { makeCluster, makeRetryPolicy, makeRoute, makeTarget, makeVirtualHost } from '../../support/fake-config-source.ts'
import { callUnary, EchoClient, startGrpcBackend, type UnaryAnswer } from '../../support/grpc-backend.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { seededRandom } from '../../support/seeded-random.ts'
import { makeMesh } from '../../support/test-mesh.ts'
import { until } from '../../support/until.ts'

afterEach(() => {
  trace.disable()
  context.disable()
})

/** A client whose calls are told to the telemetry of production. */
async function setUp(t: TestContext, answer?: UnaryAnswer) {
  const backend = await startGrpcBackend(t, answer)
  const clock = new ManualClock(Date.now())
  const lines: string[] = []
  const out = new Writable({
    write(chunk, _encoding, done) {
      lines.push(...String(chunk).trim().split('\n'))
      done()
    },
  })
  const telemetry = new MeshTelemetry({
    service: 'productpage',
    runtime: { clock, random: seededRandom(1) },
    accessLog: new AccessLog(out),
  })
  const exporter = new InMemorySpanExporter()
  const spanProcessors = [new SimpleSpanProcessor({ exporter })]
  trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors, idGenerator: telemetry.tracing.ids }))
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  telemetry.tracing.sampler = new HeadSampler('on', true)
  const { plane, source } = makeMesh(t, { clock, random: () => 0, environment: { telemetry } })
  const retryPolicy = makeRetryPolicy({
    retryOn: ['unavailable'],
    numRetries: 2,
    backOff: { baseIntervalMs: 0, maxIntervalMs: 0 },
  })
  source.set({
    targets: { 'ratings:9080': makeTarget([makeVirtualHost([makeRoute('c', { retryPolicy }, { name: 'all' })])]) },
    clusters: [makeCluster('c', [backend.address], { destination: { service: 'ratings', version: 'v1' } })],
  })
  const channel = (target: string) => new MeshChannel(plane, authority => plane.watch(authority, 'http'), target)
  const client = grpcClientOn({ channel }, EchoClient, 'xds:///ratings:9080', {})
  t.after(() => client.close())
  const call = async () => {
    const ended = callUnary(client, 'x')
    let isOver = false
    void ended.then(() => {
      isOver = true
    })
    await until(
      () => isOver,
      () => clock.advanceAsync(1),
    )
    return ended
  }
  const metrics = () =>
    Object.fromEntries(
      telemetry.stats.collect().map(({ name, unit, kind, points }) => [
        name,
        {
          unit,
          kind,
          points: points.map(({ attributes, value }) => [attributes, typeof value === 'number' ? value : value.count]),
        },
      ]),
    )
  return { backend, call, exporter, metrics, lines, telemetry }
}

const shared = {
  [ATTR_SERVER_ADDRESS]: 'ratings',
  [ATTR_SERVER_PORT]: 9080,
  'inmesh.source.service': 'productpage',
  'inmesh.destination.service': 'ratings',
  'inmesh.destination.version': 'v1',
  'inmesh.route': 'all',
  'inmesh.cluster': 'c',
}
const rpc = { [ATTR_RPC_SYSTEM_NAME]: 'grpc', [ATTR_RPC_METHOD]: 'test.Echo/Unary' }
const unavailableOnce: UnaryAnswer = (_call, callback, number) => {
  if (number > 1) return false
  callback({ code: grpc.status.UNAVAILABLE, details: 'not now' })
  return true
}

suite('what is told of a gRPC call', () => {
  test('a CLIENT span by the RPC conventions, its attempts as events, its context in the metadata', async t => {
    const { backend, call, exporter } = await setUp(t, unavailableOnce)
    await call()
    const [span] = exporter.getFinishedSpans()
    assert.ok(span)
    assert.deepEqual([span.name, span.kind, span.status.code], ['test.Echo/Unary', SpanKind.CLIENT, SpanStatusCode.UNSET])
    assert.deepEqual(span.attributes, {
      ...rpc,
      ...shared,
      [ATTR_NETWORK_PEER_ADDRESS]: '127.0.0.1',
      [ATTR_NETWORK_PEER_PORT]: backend.port,
      [ATTR_RPC_STATUS_CODE]: 'OK',
      'inmesh.attempts': 2,
    })
    assert.deepEqual(
      span.events.map(({ name, attributes }) => [name, attributes?.['inmesh.attempt'], attributes?.['inmesh.retry.reason']]),
      [
        ['inmesh.attempt', 1, undefined],
        ['inmesh.retry', 1, 'UNAVAILABLE'],
        ['inmesh.attempt', 2, undefined],
      ],
    )
    const { traceId, spanId } = span.spanContext()
    assert.deepEqual(backend.seen[1]?.metadata.get('traceparent'), [`00-${traceId}-${spanId}-01`])
  })

  test('a status other than OK is an error', async t => {
    const { call, exporter, lines, telemetry, backend } = await setUp(t, (_call, callback) => {
      callback({ code: grpc.status.NOT_FOUND, details: 'gone' })
      return true
    })
    await call()
    const [span] = exporter.getFinishedSpans()
    assert.equal(span?.status.code, SpanStatusCode.ERROR)
    assert.deepEqual([span?.attributes[ATTR_RPC_STATUS_CODE], span?.attributes[ATTR_ERROR_TYPE]], ['NOT_FOUND', 'NOT_FOUND'])
    telemetry.flush()
    const { method, path, grpc_status, response_flags, upstream_host } = JSON.parse(lines[0] ?? '{}')
    assert.deepEqual(
      { method, path, grpc_status, response_flags, upstream_host },
      { method: 'POST', path: '/test.Echo/Unary', grpc_status: 'NOT_FOUND', response_flags: '-', upstream_host: backend.address },
    )
  })

  test('what the mesh itself answers has the status that the caller gets', async t => {
    const { backend, call, exporter } = await setUp(t)
    backend.kill()
    const { code } = await call()
    assert.equal(code, grpc.status.UNAVAILABLE)
    const [span] = exporter.getFinishedSpans()
    assert.deepEqual(
      [span?.attributes[ATTR_RPC_STATUS_CODE], span?.attributes['inmesh.response_flag'], span?.status.code],
      ['UNAVAILABLE', 'UF', SpanStatusCode.ERROR],
    )
  })

  test("the metrics of the conventions and gRPC's own", async t => {
    const { call, metrics } = await setUp(t, unavailableOnce)
    await call()
    await call()
    const own = { 'grpc.method': 'test.Echo/Unary', 'grpc.target': 'xds:///ratings:9080', 'grpc.lb.backend_service': 'c' }
    const ended = (status: string) => ({ ...own, 'grpc.status': status })
    const ok = { ...rpc, [ATTR_RPC_STATUS_CODE]: 'OK', ...shared }
    assert.deepEqual(metrics(), {
      'inmesh.client.attempts': { unit: '{attempt}', kind: 'counter', points: [[ok, 3]] },
      'inmesh.client.retries': { unit: '{retry}', kind: 'counter', points: [[ok, 1]] },
      [METRIC_RPC_CLIENT_CALL_DURATION]: { unit: 's', kind: 'histogram', points: [[ok, 2]] },
      'grpc.client.attempt.started': { unit: '{attempt}', kind: 'counter', points: [[own, 3]] },
      'grpc.client.attempt.duration': {
        unit: 's',
        kind: 'histogram',
        points: [
          [ended('OK'), 2],
          [ended('UNAVAILABLE'), 1],
        ],
      },
      'grpc.client.call.duration': { unit: 's', kind: 'histogram', points: [[ended('OK'), 2]] },
      'grpc.client.call.retries': { unit: '{retry}', kind: 'histogram', points: [[own, 1]] },
      'inmesh.server.active_requests': { unit: '{request}', kind: 'updown', points: [[{}, 0]] },
    })
  })

  test('methods beyond the hundredth are counted together', async t => {
    const { telemetry } = await setUp(t)
    const series = telemetry.bind({
      scheme: 'http',
      authority: 'a',
      virtualHost: '',
      routeName: '',
      urlTemplate: '',
      clusterName: '',
      destination: { service: '', version: '' },
    })
    for (let method = 0; method < 150; method++) telemetry.startAttempt(series, `/s/${method}`)
    const started = telemetry.stats.collect().find(({ name }) => name === 'grpc.client.attempt.started')
    const counts = new Map(started?.points.map(({ attributes, value }) => [attributes['grpc.method'], value]))
    assert.deepEqual([counts.size, counts.get('s/99'), counts.get('other')], [101, 1, 50])
  })
})
