import type { Attributes, Context, Span } from '@opentelemetry/api'
import { maxBaggageBytes, parseBaggage } from './baggage.ts'
import { type InboundOutcome, type InboundRequest, serverErrorType } from './inbound-request.ts'
import { sourceAttributes } from './inbound-stats.ts'
import { context, createTraceState, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from './opentelemetry.ts'
import { methodOfName } from './recorded-call.ts'
import { hasContextManager, lookForContextManager, RequestScope, scopeKey } from './request-scope.ts'
import { grpcStatusName, rpcMethod } from './rpc-conventions.ts'
import { knownMethod, redactQuery, serverAddress } from './semantic-conventions.ts'
import { joinHeader, parseTraceparent, type TraceContext } from './trace-context.ts'
import type { TracingState } from './tracing-state.ts'

/** Longest `tracestate` that is carried on (W3C Trace Context section 3.3.1.1 asks for at least 512). */
const maxTracestateBytes = 8192

/** How soon requests find an SDK that is registered while they come. */
const lookIntervalMs = 100

/** An inbound request's place in its trace. */
export interface InboundTrace {
  readonly scope: RequestScope
  /** The context that the application runs in; `null` where none is managed. */
  readonly otel: Context | null
  /** The SERVER span, if it is recorded. */
  readonly span: Span | null
}

/** Takes a request's trace up, or begins one, and makes the SERVER span of what is sampled. */
export class InboundTracing {
  readonly #state: TracingState
  /** When it was last looked whether an SDK is there. */
  #lookedAt: number

  constructor(state: TracingState) {
    this.#state = state
    this.#lookedAt = Number.NEGATIVE_INFINITY
  }

  /**
   * @param startedAt monotonic milliseconds
   * @param startedAtWall milliseconds since the epoch
   * @param hasForeignSpan another instrumentation makes the SERVER span: the trace is its business
   * @param deadlineAt see {@link RequestScope.deadlineAt}
   */
  start(
    request: InboundRequest,
    startedAt: number,
    startedAtWall: number,
    deadlineAt: number,
    hasForeignSpan: boolean,
  ): InboundTrace {
    if (startedAt - this.#lookedAt >= lookIntervalMs) this.#look(startedAt)
    const isManaged = hasContextManager()
    if (hasForeignSpan && isManaged) {
      const scope = new RequestScope(null, '', '', undefined, deadlineAt)
      return { scope, otel: context.active().setValue(scopeKey, scope), span: null }
    }
    const parent = parseTraceparent(request.headers.traceparent)
    const tracestate = parent === null ? '' : limited(joinHeader(request.headers.tracestate), maxTracestateBytes)
    const baggage = limited(joinHeader(request.headers.baggage), maxBaggageBytes)
    const incoming = isManaged ? incomingContext(parent, tracestate) : ROOT_CONTEXT
    const tracer = this.#state.knownTracer
    if (tracer === null) return this.#scoped(parent, tracestate, baggage, deadlineAt, isManaged ? incoming : null, null)

    const { sampler, ids } = this.#state
    const crossed = parent === null ? ids.draw() : 0
    const traceId = parent === null ? ids.drawn() : parent.traceId
    const isRecorded =
      sampler === null || (parent === null ? sampler.decideRoot(crossed) : sampler.decideBelow(parent.sampled, traceId))
    if (!isRecorded) {
      const place = { traceId, spanId: parent === null ? ids.generateSpanId() : parent.spanId, sampled: false }
      const below = isManaged ? incomingContext(place, tracestate) : null
      return this.#scoped(place, tracestate, baggage, deadlineAt, below, null)
    }
    if (parent === null && sampler !== null) ids.force(traceId)
    const span = tracer.startSpan(spanName(request), spanOptions(request, startedAtWall), incoming)
    ids.force('')
    const { traceFlags, traceState, ...own } = span.spanContext()
    const place = { traceId: own.traceId, spanId: own.spanId, sampled: (traceFlags & 1) === 1 }
    const below = isManaged ? trace.setSpan(incoming, span) : null
    const recorded = span.isRecording() ? span : null
    return this.#scoped(place, traceState?.serialize() ?? '', baggage, deadlineAt, below, recorded)
  }

  /** To ask the API whether somebody has come costs each time; SDKs are registered when a process begins. */
  #look(now: number): void {
    this.#lookedAt = now
    lookForContextManager()
    this.#state.look()
  }

  #scoped(
    place: TraceContext | null,
    tracestate: string,
    baggage: string,
    deadlineAt: number,
    otel: Context | null,
    span: Span | null,
  ): InboundTrace {
    const parsed = otel === null ? undefined : parseBaggage(baggage)
    const scope = new RequestScope(place, tracestate, baggage, parsed, deadlineAt)
    if (otel === null) return { scope, otel, span }
    const scoped = otel.setValue(scopeKey, scope)
    return { scope, otel: parsed === undefined ? scoped : propagation.setBaggage(scoped, parsed), span }
  }
}

/** Ends a SERVER span. */
export function finishInboundSpan(span: Span, request: InboundRequest, outcome: InboundOutcome, endedAtWall: number): void {
  const { route, statusCode, grpcStatus, error } = outcome
  const errorType = serverErrorType(outcome)
  if (request.isGrpc) {
    span.setAttributes({
      'rpc.status_code': grpcStatusName(grpcStatus),
      ...(errorType === '' ? {} : { 'error.type': errorType }),
    })
    if (errorType !== '') span.setStatus({ code: SpanStatusCode.ERROR })
    span.end(endedAtWall)
    return
  }
  if (route !== '') span.updateName(`${methodOfName(knownMethod(request.method))} ${route}`)
  span.setAttributes({
    ...(route === '' ? {} : { 'http.route': route }),
    ...(statusCode === 0 ? {} : { 'http.response.status_code': statusCode }),
    ...(errorType === '' ? {} : { 'error.type': errorType }),
  })
  // A caller that goes away is no fault of the server's, nor is what a status below 500 says.
  if (statusCode >= 500 || error !== null) {
    span.setStatus({ code: SpanStatusCode.ERROR, ...(error === null ? {} : { message: error.message }) })
  }
  span.end(endedAtWall)
}

function incomingContext(parent: TraceContext | null, tracestate: string): Context {
  if (parent === null) return ROOT_CONTEXT
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId: parent.traceId,
    spanId: parent.spanId,
    traceFlags: parent.sampled ? 1 : 0,
    isRemote: true,
    ...(tracestate === '' ? {} : { traceState: createTraceState(tracestate) }),
  })
}

function spanName({ isGrpc, method, path }: InboundRequest): string {
  return isGrpc ? rpcMethod(path) : methodOfName(knownMethod(method))
}

function spanOptions(request: InboundRequest, startTime: number): { kind: SpanKind; startTime: number; attributes: Attributes } {
  if (request.isGrpc) return { kind: SpanKind.SERVER, startTime, attributes: rpcAttributes(request) }
  const { method, scheme, authority, path, protocolVersion, headers, peerAddress, peerPort, sourcePrincipal, security } = request
  const known = knownMethod(method)
  const question = path.indexOf('?')
  const userAgent = headers['user-agent']
  const { address, port } = serverAddress(authority, scheme)
  return {
    kind: SpanKind.SERVER,
    startTime,
    attributes: {
      'http.request.method': known,
      ...(known === method ? {} : { 'http.request.method_original': method }),
      'url.scheme': scheme,
      'url.path': question < 0 ? path : path.slice(0, question),
      ...(question < 0 ? {} : { 'url.query': redactQuery(path.slice(question)).slice(1) }),
      ...(address === '' ? {} : { 'server.address': address, 'server.port': port }),
      'network.protocol.version': protocolVersion,
      ...(peerAddress === ''
        ? {}
        : { 'client.address': peerAddress, 'network.peer.address': peerAddress, 'network.peer.port': peerPort }),
      ...(typeof userAgent === 'string' ? { 'user_agent.original': userAgent } : {}),
      ...sourceAttributes(sourcePrincipal, security),
    },
  }
}

function rpcAttributes(request: InboundRequest): Attributes {
  const { path, scheme, authority, peerAddress, peerPort, sourcePrincipal, security } = request
  const { address, port } = serverAddress(authority, scheme)
  return {
    'rpc.system.name': 'grpc',
    'rpc.method': rpcMethod(path),
    ...(address === '' ? {} : { 'server.address': address, 'server.port': port }),
    ...(peerAddress === ''
      ? {}
      : { 'client.address': peerAddress, 'network.peer.address': peerAddress, 'network.peer.port': peerPort }),
    ...sourceAttributes(sourcePrincipal, security),
  }
}

function limited(text: string, maxBytes: number): string {
  return text.length > maxBytes ? '' : text
}
