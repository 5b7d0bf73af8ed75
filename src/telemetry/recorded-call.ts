import type { Attributes, Span, SpanOptions } from '@opentelemetry/api'
import { SpanKind, SpanStatusCode } from './opentelemetry.ts'
import type { Outcome } from './outcome.ts'
import { grpcStatusName, rpcMethod } from './rpc-conventions.ts'
import { clientErrorType, fullUrl, knownMethod, serverAddress } from './semantic-conventions.ts'
import type { CallSpan, CallStart } from './telemetry.ts'
import { formatTraceparent } from './trace-context.ts'

/** `{method}` of a span's name, which is `HTTP` for a method that the conventions do not know. */
export function methodOfName(method: string): string {
  return method === '_OTHER' ? 'HTTP' : method
}

/** Name of the CLIENT span of a call, as it is known at the start. */
export function callSpanName({ isGrpc, method, path }: CallStart): string {
  return isGrpc ? rpcMethod(path) : methodOfName(knownMethod(method))
}

/** How the CLIENT span of a call begins. */
export function callSpanOptions(call: CallStart): SpanOptions {
  const { authority, scheme, path, startedAtWall } = call
  if (!call.isGrpc) return httpSpanOptions(call)
  const { address, port } = serverAddress(authority, scheme)
  return {
    kind: SpanKind.CLIENT,
    startTime: startedAtWall,
    attributes: { 'rpc.system.name': 'grpc', 'rpc.method': rpcMethod(path), 'server.address': address, 'server.port': port },
  }
}

function httpSpanOptions({ method, scheme, authority, path, startedAtWall }: CallStart): SpanOptions {
  const known = knownMethod(method)
  const { address, port } = serverAddress(authority, scheme)
  return {
    kind: SpanKind.CLIENT,
    startTime: startedAtWall,
    attributes: {
      'http.request.method': known,
      ...(known === method ? {} : { 'http.request.method_original': method }),
      'server.address': address,
      'server.port': port,
      'url.full': fullUrl(scheme, authority, path),
      'url.scheme': scheme,
    },
  }
}

/** A call whose CLIENT span is recorded. */
export class RecordedCall implements CallSpan {
  readonly traceparent: string
  readonly tracestate: string
  readonly baggage: string
  readonly #span: Span
  readonly #startedAtWall: number

  constructor(span: Span, startedAtWall: number, baggage: string) {
    const { traceId, spanId, traceFlags, traceState } = span.spanContext()
    this.traceparent = formatTraceparent(traceId, spanId, (traceFlags & 1) === 1)
    this.tracestate = traceState?.serialize() ?? ''
    this.baggage = baggage
    this.#span = span
    this.#startedAtWall = startedAtWall
  }

  attempt(attempt: number, endpointAddress: string): void {
    this.#span.addEvent('inmesh.attempt', { 'inmesh.attempt': attempt, ...peerAttributes(endpointAddress) })
  }

  retry(attempt: number, statusCode: number, reason: string, delayMs: number): void {
    this.#span.addEvent('inmesh.retry', {
      'inmesh.attempt': attempt,
      'inmesh.retry.reason': reason,
      'inmesh.retry.delay_ms': delayMs,
      ...(statusCode === 0 ? {} : { 'http.response.status_code': statusCode }),
    })
  }

  /** Ends the span. */
  finish(outcome: Outcome, sourceService: string, protocolVersion: string | undefined): void {
    if (outcome.grpcStatus >= 0) this.#finishRpc(outcome, sourceService)
    else this.#finishHttp(outcome, sourceService, protocolVersion)
    this.#span.end(this.#startedAtWall + outcome.durationMs)
  }

  #finishRpc(outcome: Outcome, sourceService: string): void {
    const { attempts, error, flag, grpcStatus } = outcome
    const status = grpcStatusName(grpcStatus)
    this.#span.setAttributes({
      ...meshAttributes(outcome, sourceService),
      ...peerAttributes(outcome.endpointAddress),
      'inmesh.attempts': attempts,
      ...(flag === '' ? {} : { 'inmesh.response_flag': flag }),
      'rpc.status_code': status,
      ...(grpcStatus === 0 ? {} : { 'error.type': status }),
    })
    if (grpcStatus !== 0) {
      this.#span.setStatus({ code: SpanStatusCode.ERROR, ...(error === null ? {} : { message: error.message }) })
    }
  }

  #finishHttp(outcome: Outcome, sourceService: string, protocolVersion: string | undefined): void {
    const { method, urlTemplate, attempts, statusCode, error, flag } = outcome
    const errorType = clientErrorType(outcome)
    const name = methodOfName(knownMethod(method))
    this.#span.updateName(urlTemplate === '' ? name : `${name} ${urlTemplate}`)
    this.#span.setAttributes({
      ...meshAttributes(outcome, sourceService),
      ...peerAttributes(outcome.endpointAddress),
      'inmesh.attempts': attempts,
      ...(flag === '' ? {} : { 'inmesh.response_flag': flag }),
      ...(protocolVersion === undefined ? {} : { 'network.protocol.version': protocolVersion }),
      ...(urlTemplate === '' ? {} : { 'url.template': urlTemplate }),
      ...(attempts > 1 ? { 'http.request.resend_count': attempts - 1 } : {}),
      ...(statusCode === 0 ? {} : { 'http.response.status_code': statusCode }),
      ...(errorType === '' ? {} : { 'error.type': errorType }),
    })
    if (errorType !== '') {
      this.#span.setStatus({ code: SpanStatusCode.ERROR, ...(error === null ? {} : { message: error.message }) })
    }
  }
}

function meshAttributes({ destination, routeName, clusterName }: Outcome, sourceService: string): Attributes {
  return {
    ...(sourceService === '' ? {} : { 'inmesh.source.service': sourceService }),
    ...(destination.service === '' ? {} : { 'inmesh.destination.service': destination.service }),
    ...(destination.version === '' ? {} : { 'inmesh.destination.version': destination.version }),
    ...(routeName === '' ? {} : { 'inmesh.route': routeName }),
    ...(clusterName === '' ? {} : { 'inmesh.cluster': clusterName }),
  }
}

/** `network.peer.*` of `address:port`; of a Unix socket, the path. */
function peerAttributes(endpointAddress: string): Attributes {
  if (endpointAddress === '') return {}
  const colon = endpointAddress.lastIndexOf(':')
  const port = Number(endpointAddress.slice(colon + 1))
  if (colon < 0 || !Number.isInteger(port)) return { 'network.peer.address': endpointAddress }
  const address = endpointAddress.slice(0, colon)
  return {
    'network.peer.address': address.startsWith('[') ? address.slice(1, -1) : address,
    'network.peer.port': port,
  }
}
