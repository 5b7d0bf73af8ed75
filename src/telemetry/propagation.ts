import { AsyncLocalStorage } from 'node:async_hooks'
import { context, isSpanContextValid, type SpanContext, trace } from '@opentelemetry/api'

/** The W3C headers that cross a service, as they are on the wire; empty when absent. */
export interface TraceHeaders {
  readonly traceparent: string
  readonly tracestate: string
  readonly baggage: string
}

/** What an inbound request leaves behind for the calls that its handler makes. */
export interface InboundContext {
  readonly headers: TraceHeaders
  /** Monotonic time at which the caller stops waiting; `undefined` when it did not say. */
  readonly deadlineAt: number | undefined
}

const inbound = new AsyncLocalStorage<InboundContext>()

/** Runs `work` as part of an inbound request, so that {@link currentInbound} finds it in everything that follows. */
export function runInbound<T>(value: InboundContext, work: () => T): T {
  return inbound.run(value, work)
}

export function currentInbound(): InboundContext | undefined {
  return inbound.getStore()
}

/** The span of the running code, where an OpenTelemetry SDK keeps one. */
export function activeSpanContext(): SpanContext | undefined {
  const active = trace.getSpanContext(context.active())
  return active !== undefined && isSpanContextValid(active) ? active : undefined
}

/** `traceparent` of a span (W3C Trace Context section 3.2). */
export function formatTraceparent({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`
}

const wellFormed = /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(?:$|-)/

/** The span that a `traceparent` names, or `undefined` when it is not well formed: such a header is not passed on. */
export function parseTraceparent(value: string | undefined): SpanContext | undefined {
  const [, traceId, spanId, flags] = value?.match(wellFormed) ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true }
}
