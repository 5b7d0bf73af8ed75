import type { IncomingMessage, ServerResponse } from 'node:http'
import { context, propagation, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import type { Clock } from '../runtime.ts'
import type { MeshTelemetry } from '../telemetry/create-telemetry.ts'
import { parseTraceparent, runInbound, type TraceHeaders } from '../telemetry/propagation.ts'

const one = (value: string | string[] | undefined) => (Array.isArray(value) ? value.join(',') : (value ?? ''))

/** Serves requests inside their trace and deadline, and counts them. */
export class Inbound {
  readonly #telemetry: MeshTelemetry
  readonly #clock: Clock
  #isDraining = false

  constructor(telemetry: MeshTelemetry, clock: Clock) {
    this.#telemetry = telemetry
    this.#clock = clock
  }

  /** From now on every HTTP/1 answer asks its connection to be closed. */
  drain(): void {
    this.#isDraining = true
  }

  /** Runs `handle` for a request. A handler that throws, or whose promise rejects, is answered for with 500. */
  serve(request: IncomingMessage, response: ServerResponse, handle: () => unknown): void {
    const { inbound } = this.#telemetry
    const startedAt = this.#clock.now()
    const headers = traceHeaders(request)
    const span = this.#startSpan(request)
    inbound.active++
    if (this.#isDraining && request.httpVersionMajor === 1) response.setHeader('connection', 'close')
    response.once('close', () => {
      inbound.active--
      const method = request.method ?? 'GET'
      inbound.record(method, response.statusCode, this.#clock.now() - startedAt)
      if (span !== null) endSpan(span, response)
    })
    const expectedMs = Number(request.headers['x-envoy-expected-rq-timeout-ms'])
    const deadlineAt = expectedMs > 0 ? startedAt + expectedMs : undefined
    const run = () => runInbound({ headers, deadlineAt }, () => this.#handle(response, handle, span))
    if (span === null) run()
    else context.with(trace.setSpan(extracted(request), span), run)
  }

  #handle(response: ServerResponse, handle: () => unknown, span: Span | null): void {
    const fail = (error: unknown) => {
      span?.recordException(error instanceof Error ? error : String(error))
      if (!response.headersSent) {
        response.statusCode = 500
        response.end()
      } else {
        response.destroy()
      }
    }
    try {
      const result = handle()
      if (result instanceof Promise) result.catch(fail)
    } catch (error) {
      fail(error)
    }
  }

  #startSpan(request: IncomingMessage): Span | null {
    const { host = '' } = request.headers
    const colon = host.lastIndexOf(':')
    const [path = '', query] = (request.url ?? '/').split('?')
    const span = this.#telemetry.tracer.startSpan(
      request.method ?? 'GET',
      {
        kind: SpanKind.SERVER,
        attributes: {
          'http.request.method': request.method ?? 'GET',
          'url.path': path,
          'url.scheme': 'http',
          'server.address': colon > 0 ? host.slice(0, colon) : host,
          'server.port': colon > 0 ? Number(host.slice(colon + 1)) : 80,
          'network.protocol.version': request.httpVersion,
          'client.address': request.socket.remoteAddress ?? '',
          'inmesh.destination.service': this.#telemetry.service,
          ...(query === undefined ? {} : { 'url.query': query }),
        },
      },
      extracted(request),
    )
    // Without an SDK the span is a stand-in, and the headers are passed on as they came.
    return trace.getSpanContext(trace.setSpan(context.active(), span))?.traceId === '0'.repeat(32) ? null : span
  }
}

/** The caller's trace: through the SDK's propagators when there is one, else as W3C says. */
function extracted(request: IncomingMessage) {
  const parent = propagation.extract(context.active(), request.headers)
  if (trace.getSpanContext(parent) !== undefined) return parent
  const remote = parseTraceparent(one(request.headers.traceparent))
  return remote === undefined ? parent : trace.setSpanContext(parent, remote)
}

function traceHeaders(request: IncomingMessage): TraceHeaders {
  const traceparent = one(request.headers.traceparent)
  const isWellFormed = parseTraceparent(traceparent) !== undefined
  return {
    traceparent: isWellFormed ? traceparent : '',
    tracestate: isWellFormed ? one(request.headers.tracestate) : '',
    baggage: one(request.headers.baggage),
  }
}

function endSpan(span: Span, response: ServerResponse): void {
  span.setAttribute('http.response.status_code', response.statusCode)
  if (response.statusCode >= 500) {
    span.setAttribute('error.type', String(response.statusCode))
    span.setStatus({ code: SpanStatusCode.ERROR })
  }
  span.end()
}
