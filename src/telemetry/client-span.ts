import { context, type Span, SpanKind, SpanStatusCode, TraceFlags, type Tracer, trace } from '@opentelemetry/api'
import type { Outcome } from './outcome.ts'
import { activeSpanContext, currentInbound, formatTraceparent, parseTraceparent } from './propagation.ts'
import { clientErrorType, fullUrl, serverAddress } from './semantic-conventions.ts'
import type { CallSpan, CallStart } from './telemetry.ts'

/** Passes a trace on without adding to it: there is no SDK, or the trace is not sampled. */
class PassedOnSpan implements CallSpan {
  readonly traceparent: string
  readonly tracestate: string
  readonly baggage: string

  constructor(traceparent: string, tracestate: string, baggage: string) {
    this.traceparent = traceparent
    this.tracestate = tracestate
    this.baggage = baggage
  }

  attempt(): void {}
  retry(): void {}
}

/** A sampled CLIENT span: one a call, its attempts as events (stable HTTP semantic conventions). */
export class ClientSpan implements CallSpan {
  readonly traceparent: string
  readonly tracestate: string
  readonly baggage: string
  readonly #span: Span

  constructor(span: Span, baggage: string) {
    const spanContext = span.spanContext()
    this.#span = span
    this.traceparent = formatTraceparent(spanContext)
    this.tracestate = spanContext.traceState?.serialize() ?? ''
    this.baggage = baggage
  }

  attempt(attempt: number, endpointAddress: string): void {
    this.#span.addEvent('inmesh.attempt', { 'inmesh.attempt': attempt, 'network.peer.address': endpointAddress })
  }

  retry(attempt: number, statusCode: number, reason: string, delayMs: number): void {
    this.#span.addEvent('inmesh.retry', {
      'inmesh.attempt': attempt,
      'inmesh.retry.reason': reason,
      'inmesh.retry.delay_ms': delayMs,
      ...(statusCode > 0 ? { 'http.response.status_code': statusCode } : {}),
    })
  }

  end(outcome: Outcome, sourceService: string): void {
    const span = this.#span
    const { statusCode, attempts, endpointAddress, urlTemplate, destination } = outcome
    const port = endpointAddress.lastIndexOf(':')
    if (urlTemplate !== '') {
      span.updateName(`${outcome.method} ${urlTemplate}`)
      span.setAttribute('url.template', urlTemplate)
    }
    span.setAttributes({
      'inmesh.source.service': sourceService,
      'inmesh.destination.service': destination.service,
      'inmesh.route': outcome.routeName,
      'inmesh.cluster': outcome.clusterName,
      'inmesh.attempts': attempts,
    })
    if (destination.version !== '') span.setAttribute('inmesh.destination.version', destination.version)
    if (outcome.flag !== '') span.setAttribute('inmesh.response_flag', outcome.flag)
    if (statusCode > 0) span.setAttribute('http.response.status_code', statusCode)
    if (attempts > 1) span.setAttribute('http.request.resend_count', attempts - 1)
    if (port > 0) {
      span.setAttribute('network.peer.address', endpointAddress.slice(0, port))
      span.setAttribute('network.peer.port', Number(endpointAddress.slice(port + 1)))
    }
    const errorType = clientErrorType(outcome)
    if (errorType !== '') {
      span.setAttribute('error.type', errorType)
      span.setStatus({ code: SpanStatusCode.ERROR, ...(outcome.error === null ? {} : { message: outcome.error.message }) })
    }
    span.end()
  }
}

/**
 * The span of a call. A trace that is not sampled is passed on as it came, and costs no span; only a call that begins a trace asks the
 * sampler. Without an SDK the headers of the inbound request are passed on.
 */
export function startClientSpan(tracer: Tracer, call: CallStart): CallSpan | null {
  const inbound = currentInbound()
  const baggage = inbound?.headers.baggage ?? ''
  const active = activeSpanContext()
  if (active === undefined) {
    const headers = inbound?.headers
    if (headers !== undefined && headers.traceparent !== '') {
      return new PassedOnSpan(headers.traceparent, headers.tracestate, baggage)
    }
  } else if ((active.traceFlags & TraceFlags.SAMPLED) === 0) {
    return new PassedOnSpan(formatTraceparent(active), active.traceState?.serialize() ?? '', baggage)
  }
  const { address, port } = serverAddress(call.authority, call.scheme)
  const span = tracer.startSpan(call.method, {
    kind: SpanKind.CLIENT,
    attributes: {
      'http.request.method': call.method,
      'server.address': address,
      'server.port': port,
      'url.full': fullUrl(call.scheme, call.authority, call.path),
      'url.scheme': call.scheme,
      'network.protocol.name': 'http',
    },
  })
  const spanContext = span.spanContext()
  if (parseTraceparent(formatTraceparent(spanContext)) === undefined) return null
  return span.isRecording() ? new ClientSpan(span, baggage) : new PassedOnSpan(formatTraceparent(spanContext), '', baggage)
}

/** Runs `work` with `span` as the active one, where an SDK keeps track of it. */
export function withSpan<T>(span: Span, work: () => T): T {
  return context.with(trace.setSpan(context.active(), span), work)
}
