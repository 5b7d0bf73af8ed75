import assert from 'node:assert/strict'
import { channel } from 'node:diagnostics_channel'
import { afterEach, describe, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { MeshTelemetry } from '../../src/telemetry/create-telemetry.ts'
import { HeadSampler } from '../../src/telemetry/head-sampler.ts'
import type { InboundRequest } from '../../src/telemetry/inbound-request.ts'
import { currentScope } from '../../src/telemetry/request-scope.ts'
import { version } from '../../src/version.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { outcome } from '../support/outcome.ts'
import { seededRandom } from '../support/seeded-random.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'
const spanId = 'b7ad6b7169203331'
const call = {
  isGrpc: false,
  method: 'GET',
  scheme: 'http',
  authority: 'reviews:9080',
  path: '/reviews/1?sig=x',
  startedAtWall: 1_700_000_000_000,
}
const labels = {
  scheme: 'http',
  authority: 'reviews:9080',
  virtualHost: '',
  routeName: 'canary',
  urlTemplate: '/reviews/*',
  clusterName: 'c',
  destination: { service: 'reviews', version: 'v2' },
  protocolVersion: '1.1',
}

const request = (headers: InboundRequest['headers'] = {}): InboundRequest => ({
  isGrpc: false,
  method: 'GET',
  scheme: 'http',
  authority: 'productpage',
  path: '/page?x=1',
  protocolVersion: '1.1',
  headers,
  peerAddress: '127.0.0.1',
  peerPort: 1234,
  sourcePrincipal: '',
  security: 'none',
})

const answered = { statusCode: 200, grpcStatus: -1, route: '', requestBytes: 0, responseBytes: 0, wasAborted: false, error: null }

function makeTelemetry(clock = new ManualClock()): MeshTelemetry {
  return new MeshTelemetry({ service: 'productpage', runtime: { clock, random: seededRandom(1) } })
}

/** Registers the real SDK, as `inmesh/otel` does. */
function withSdk(telemetry: MeshTelemetry, sampler: HeadSampler | null = new HeadSampler('on', true)) {
  const exporter = new InMemorySpanExporter()
  const spanProcessors = [new SimpleSpanProcessor({ exporter })]
  trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors, idGenerator: telemetry.tracing.ids }))
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  telemetry.tracing.sampler = sampler
  return exporter
}

afterEach(() => {
  trace.disable()
  context.disable()
})

describe('without an SDK', () => {
  test('a trace and baggage that came in go out with every call, through asynchronous code', async () => {
    const telemetry = makeTelemetry()
    const headers = { traceparent: `00-${traceId}-${spanId}-01`, tracestate: 'v=1', baggage: 'user=jason;p=1' }
    const exchange = telemetry.receive(request(headers), 0, false)
    const sent = await exchange.run(async () => {
      await setImmediate()
      return [telemetry.startSpan(call), telemetry.startSpan(call)]
    })
    for (const span of sent) {
      assert.equal(span?.traceparent, headers.traceparent)
      assert.equal(span?.tracestate, 'v=1')
      assert.equal(span?.baggage, 'user=jason;p=1')
    }
    assert.equal(sent[0], sent[1], 'made once a request')
  })

  test('two requests at once do not mix', async () => {
    const telemetry = makeTelemetry()
    const ids = [traceId, traceId.replace('0a', '0b')]
    const serve = (id: string) =>
      telemetry.receive(request({ traceparent: `00-${id}-${spanId}-00` }), 0, false).run(async () => {
        await setImmediate()
        return telemetry.startSpan(call)?.traceparent.slice(3, 35)
      })
    assert.deepEqual(await Promise.all(ids.map(serve)), ids)
  })

  test('no trace is begun', () => {
    const telemetry = makeTelemetry()
    assert.equal(telemetry.startSpan(call), null)
    assert.equal(
      telemetry.receive(request(), 0, false).run(() => telemetry.startSpan(call)),
      null,
    )
  })

  test('the deadline of the caller is known to what runs on its behalf', () => {
    const clock = new ManualClock()
    clock.advance(100)
    const exchange = makeTelemetry(clock).receive(request(), 250, false)
    assert.equal(
      exchange.run(() => currentScope()?.deadlineAt),
      350,
    )
  })
})

describe('with an SDK', () => {
  test('a request has one SERVER span, and each call one CLIENT span below it, with its attempts as events', async () => {
    const clock = new ManualClock()
    const telemetry = makeTelemetry(clock)
    const exporter = withSdk(telemetry)
    const exchange = telemetry.receive(request({ traceparent: `00-${traceId}-${spanId}-01`, tracestate: 'v=1' }), 0, false)
    const sent = await exchange.run(async () => {
      await setImmediate()
      const span = telemetry.startSpan({ ...call, startedAtWall: clock.wallNow() })
      span?.attempt(1, '10.0.0.3:9080')
      span?.retry(1, 503, '503', 25)
      span?.attempt(2, '10.0.0.4:9080')
      clock.advance(40)
      const ended = outcome({ attempts: 2, endpointAddress: '10.0.0.4:9080', durationMs: 40 })
      telemetry.finish(telemetry.bind(labels), ended, span)
      return span
    })
    exchange.finish({ ...answered, route: '/page' })
    const [client, server] = exporter.getFinishedSpans()
    assert.equal(exporter.getFinishedSpans().length, 2)
    for (const span of [client, server]) {
      assert.deepEqual([span?.instrumentationScope.name, span?.instrumentationScope.version], ['inmesh', version])
    }

    assert.deepEqual([server?.name, server?.kind, server?.parentSpanContext?.spanId], ['GET /page', SpanKind.SERVER, spanId])
    assert.deepEqual(server?.attributes, {
      'http.request.method': 'GET',
      'url.scheme': 'http',
      'url.path': '/page',
      'url.query': 'x=1',
      'server.address': 'productpage',
      'server.port': 80,
      'network.protocol.version': '1.1',
      'client.address': '127.0.0.1',
      'inmesh.connection.security_policy': 'none',
      'network.peer.address': '127.0.0.1',
      'network.peer.port': 1234,
      'http.route': '/page',
      'http.response.status_code': 200,
    })

    assert.deepEqual([client?.name, client?.kind], ['GET /reviews/*', SpanKind.CLIENT])
    assert.equal(client?.parentSpanContext?.spanId, server?.spanContext().spanId)
    assert.deepEqual(
      [client, server].map(span => span?.spanContext().traceId),
      [traceId, traceId],
    )
    assert.equal(sent?.traceparent, `00-${traceId}-${client?.spanContext().spanId}-01`)
    assert.equal(sent?.tracestate, 'v=1')
    assert.deepEqual(client?.attributes, {
      'http.request.method': 'GET',
      'server.address': 'reviews',
      'server.port': 9080,
      'url.full': 'http://reviews:9080/reviews/1?sig=REDACTED',
      'url.scheme': 'http',
      'inmesh.source.service': 'productpage',
      'inmesh.destination.service': 'reviews',
      'inmesh.destination.version': 'v2',
      'inmesh.route': 'canary',
      'inmesh.cluster': 'outbound|9080|v2|reviews',
      'network.peer.address': '10.0.0.4',
      'network.peer.port': 9080,
      'inmesh.attempts': 2,
      'network.protocol.version': '1.1',
      'url.template': '/reviews/*',
      'http.request.resend_count': 1,
      'http.response.status_code': 200,
    })
    assert.deepEqual(
      client?.events.map(({ name, attributes }) => [name, attributes?.['inmesh.attempt'], attributes?.['network.peer.address']]),
      [
        ['inmesh.attempt', 1, '10.0.0.3'],
        ['inmesh.retry', 1, undefined],
        ['inmesh.attempt', 2, '10.0.0.4'],
      ],
    )
    assert.deepEqual(client?.status, { code: SpanStatusCode.UNSET })
    assert.deepEqual(
      [client?.duration, server?.duration].map(each => Math.round((each?.[1] ?? 0) / 1e6)),
      [40, 40],
    )
  })

  const statuses: readonly [number, SpanStatusCode, SpanStatusCode][] = [
    [200, SpanStatusCode.UNSET, SpanStatusCode.UNSET],
    [302, SpanStatusCode.UNSET, SpanStatusCode.UNSET],
    [404, SpanStatusCode.ERROR, SpanStatusCode.UNSET],
    [500, SpanStatusCode.ERROR, SpanStatusCode.ERROR],
  ]
  for (const [statusCode, client, server] of statuses) {
    test(`${statusCode} is ${client === server ? 'the same' : 'an error only'} for the client`, () => {
      const telemetry = makeTelemetry()
      const exporter = withSdk(telemetry)
      telemetry.finish(telemetry.bind(labels), outcome({ statusCode }), telemetry.startSpan(call))
      telemetry.receive(request(), 0, false).finish({ ...answered, statusCode })
      assert.deepEqual(
        exporter.getFinishedSpans().map(({ status }) => status.code),
        [client, server],
      )
    })
  }

  test('an error is the status of its span, and its type', () => {
    const telemetry = makeTelemetry()
    const exporter = withSdk(telemetry)
    telemetry.finish(telemetry.bind(labels), outcome({ error: new TypeError('broken'), flag: 'UC' }), telemetry.startSpan(call))
    const [span] = exporter.getFinishedSpans()
    assert.deepEqual(span?.status, { code: SpanStatusCode.ERROR, message: 'broken' })
    assert.equal(span?.attributes['error.type'], 'TypeError')
    assert.equal(span?.attributes['inmesh.response_flag'], 'UC')
  })

  test('what is not sampled makes no span, not even to find that out, and is carried on all the same', () => {
    const telemetry = makeTelemetry()
    withSdk(telemetry, new HeadSampler('off', true))
    let asked = 0
    const { tracer } = telemetry.tracing
    assert.ok(tracer)
    const { startSpan } = tracer
    tracer.startSpan = (...args: Parameters<Tracer['startSpan']>) => {
      asked++
      return Reflect.apply(startSpan, tracer, args)
    }
    const root = telemetry.startSpan(call)
    assert.match(root?.traceparent ?? '', /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/)
    assert.notEqual(telemetry.startSpan(call)?.traceparent, root?.traceparent)
    const exchange = telemetry.receive(request({ traceparent: `00-${traceId}-${spanId}-00` }), 0, false)
    const [one, other] = exchange.run(() => [telemetry.startSpan(call), telemetry.startSpan(call)])
    assert.equal(one?.traceparent, `00-${traceId}-${spanId}-00`)
    assert.equal(one, other, 'nothing is made for the second call')
    assert.equal(asked, 0)
  })

  test('a trace that begins here is sampled by the id that it gets', () => {
    const telemetry = makeTelemetry()
    const exporter = withSdk(telemetry, new HeadSampler('ratio', true, 0.5))
    const sent = Array.from({ length: 200 }, () => telemetry.startSpan(call))
    for (const span of sent) telemetry.finish(telemetry.bind(labels), outcome(), span)
    const recorded = exporter.getFinishedSpans().map(span => span.spanContext().traceId)
    const sampled = sent.flatMap(span => (span?.traceparent.endsWith('-01') ? [span.traceparent.slice(3, 35)] : []))
    assert.deepEqual(recorded, sampled)
    assert.ok(recorded.length > 60 && recorded.length < 140, String(recorded.length))
  })

  test("an application's own SDK is asked, and what it does not record is carried on", () => {
    const telemetry = makeTelemetry()
    const exporter = withSdk(telemetry, null)
    const span = telemetry.startSpan(call)
    telemetry.finish(telemetry.bind(labels), outcome(), span)
    assert.equal(exporter.getFinishedSpans().length, 1)
  })

  test("a span of the application's is the parent of the calls inside it", () => {
    const telemetry = makeTelemetry()
    const exporter = withSdk(telemetry)
    telemetry.receive(request(), 0, false).run(() => {
      const tracer = trace.getTracer('app')
      tracer.startActiveSpan('work', span => {
        telemetry.finish(telemetry.bind(labels), outcome(), telemetry.startSpan(call))
        span.end()
      })
    })
    const [client, work] = exporter.getFinishedSpans()
    assert.equal(client?.parentSpanContext?.spanId, work?.spanContext().spanId)
  })

  test('baggage is there for the application, and what it adds goes out', () => {
    const telemetry = makeTelemetry()
    withSdk(telemetry, new HeadSampler('off', true))
    telemetry.receive(request({ baggage: 'user=ja%20son;p=1' }), 0, false).run(() => {
      const came = propagation.getActiveBaggage()
      assert.equal(came?.getEntry('user')?.value, 'ja son')
      assert.equal(telemetry.startSpan(call)?.baggage, 'user=ja%20son;p=1')
      const more = (came ?? propagation.createBaggage()).setEntry('tier', { value: 'a,b' })
      const sent = context.with(propagation.setBaggage(context.active(), more), () => telemetry.startSpan(call))
      assert.equal(sent?.baggage, 'user=ja%20son;p=1,tier=a%2Cb')
    })
  })

  test('an instrumentation of undici makes its spans in place of ours', () => {
    const telemetry = makeTelemetry()
    withSdk(telemetry)
    const listen = () => {}
    channel('undici:request:create').subscribe(listen)
    assert.equal(telemetry.startSpan(call), null)
    channel('undici:request:create').unsubscribe(listen)
    assert.notEqual(telemetry.startSpan(call), null)
  })

  test('an instrumentation of node:http makes the SERVER span, and calls are below it', () => {
    const telemetry = makeTelemetry()
    const exporter = withSdk(telemetry)
    const theirs = trace.getTracer('theirs').startSpan('theirs')
    context.with(trace.setSpan(ROOT_CONTEXT, theirs), () => {
      const exchange = telemetry.receive(request(), 0, true)
      exchange.run(() => telemetry.finish(telemetry.bind(labels), outcome(), telemetry.startSpan(call)))
      exchange.finish(answered)
    })
    const [client, ...others] = exporter.getFinishedSpans()
    assert.equal(client?.parentSpanContext?.spanId, theirs.spanContext().spanId)
    assert.deepEqual(others, [])
  })
})
