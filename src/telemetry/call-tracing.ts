import { channel } from 'node:diagnostics_channel'
import type { Context, SpanContext, Tracer } from '@opentelemetry/api'
import { formatBaggage } from './baggage.ts'
import { context, createContextKey, isSpanContextValid, propagation, trace } from './opentelemetry.ts'
import { PropagatedCall } from './propagated-call.ts'
import { callSpanName, callSpanOptions, RecordedCall } from './recorded-call.ts'
import { currentScope, RequestScope, scopeKey } from './request-scope.ts'
import type { CallSpan, CallStart } from './telemetry.ts'
import { formatTraceparent } from './trace-context.ts'
import type { TracingState } from './tracing-state.ts'

/** The key that OpenTelemetry's own exporters set so that nobody traces them. */
const suppressedKey = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING')
/** Where OpenTelemetry's instrumentation of undici listens. It makes a span of each attempt and sends its own headers. */
const undiciRequests = channel('undici:request:create')

/** Which spans are made of outbound calls. */
export type ClientSpans =
  /** Ours, unless an instrumentation of undici makes its own. */
  | 'auto'
  /** Ours, whoever else makes some. */
  | 'always'
  /** None; a trace that is there is carried on all the same. */
  | 'never'

/** Begins the spans of outbound calls. A call that is not sampled costs two short strings and no span. */
export class CallTracing {
  readonly #state: TracingState
  readonly #spans: ClientSpans

  constructor(state: TracingState, spans: ClientSpans) {
    this.#state = state
    this.#spans = spans
  }

  start(call: CallStart): CallSpan | null {
    const { tracer } = this.#state
    if (tracer === null) return currentScope()?.call ?? null
    const active = context.active()
    if (active.getValue(suppressedKey) === true) return null
    if (this.#spans === 'auto' && !call.isGrpc && undiciRequests.hasSubscribers) return null
    const parent = trace.getSpanContext(active)
    if (parent !== undefined && isSpanContextValid(parent)) return this.#below(tracer, parent, call, active)
    return this.#root(tracer, call, active)
  }

  #below(tracer: Tracer, parent: SpanContext, call: CallStart, active: Context): CallSpan {
    const sampled = (parent.traceFlags & 1) === 1
    const { sampler } = this.#state
    const isRecorded = this.#spans !== 'never' && (sampler === null || sampler.decideBelow(sampled, parent.traceId))
    if (isRecorded) return this.#record(tracer, call, active)
    const scope = active.getValue(scopeKey)
    const isScopes = scope instanceof RequestScope && scope.trace?.spanId === parent.spanId
    // Baggage may have been added since the request came in.
    if (isScopes && scope.call !== null && scope.parsedBaggage === propagation.getBaggage(active)) return scope.call
    return propagate(parent, active)
  }

  #root(tracer: Tracer, call: CallStart, active: Context): CallSpan | null {
    if (this.#spans === 'never') return null
    const { sampler, ids } = this.#state
    if (sampler === null) return this.#record(tracer, call, active)
    if (!sampler.decideRoot(ids.draw())) return new PropagatedCall(ids.unsampledTraceparent(), '', baggageOf(active))
    ids.force(ids.drawn())
    const recorded = this.#record(tracer, call, active)
    ids.force('')
    return recorded
  }

  #record(tracer: Tracer, call: CallStart, active: Context): CallSpan {
    const span = tracer.startSpan(callSpanName(call), callSpanOptions(call), active)
    if (!span.isRecording()) return propagate(span.spanContext(), active)
    return new RecordedCall(span, call.startedAtWall, baggageOf(active))
  }
}

function propagate({ traceId, spanId, traceFlags, traceState }: SpanContext, active: Context): CallSpan {
  const traceparent = formatTraceparent(traceId, spanId, (traceFlags & 1) === 1)
  return new PropagatedCall(traceparent, traceState?.serialize() ?? '', baggageOf(active))
}

function baggageOf(active: Context): string {
  const baggage = propagation.getBaggage(active)
  if (baggage === undefined) return ''
  const scope = active.getValue(scopeKey)
  // What came in unchanged goes out unchanged.
  if (scope instanceof RequestScope && scope.parsedBaggage === baggage) return scope.baggage
  return formatBaggage(baggage)
}
