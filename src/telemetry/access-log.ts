import { createWriteStream } from 'node:fs'
import type { Writable } from 'node:stream'
import type { InboundOutcome, InboundRequest } from './inbound-request.ts'
import type { Outcome } from './outcome.ts'
import { grpcStatusName } from './rpc-conventions.ts'
import { redactQuery } from './semantic-conventions.ts'
import type { CallSpan } from './telemetry.ts'
import { parseTraceparent, type TraceContext } from './trace-context.ts'

/** Text that is collected before it is written. */
const batchBytes = 16_384
/** Text kept while the destination does not take it; further lines are dropped and counted. */
const maxBufferedBytes = 1 << 20

/**
 * One JSON object a line for each call and each request, in the words of Envoy's access log. Lines are collected and written between
 * calls; what the destination does not take in time is dropped, so that nobody ever waits for a log.
 */
export class AccessLog {
  readonly #out: Writable
  #batch = ''
  #isScheduled = false
  #dropped = 0

  constructor(out: Writable) {
    this.#out = out
    out.on('error', () => {
      this.#dropped++
    })
  }

  /** Lines, or batches of lines, that were lost. */
  get dropped(): number {
    return this.#dropped
  }

  /** @param wallNow the end of the call, in milliseconds since the epoch */
  writeCall(outcome: Outcome, span: CallSpan | null, wallNow: number): void {
    const { durationMs, method, path, scheme, statusCode, flag, requestBytes, responseBytes, authority } = outcome
    const { endpointAddress, clusterName, attempts, routeName, error, grpcStatus } = outcome
    const traceId = span === null ? '' : (parseTraceparent(span.traceparent)?.traceId ?? '')
    this.#write({
      start_time: new Date(wallNow - durationMs).toISOString(),
      direction: 'outbound',
      method,
      path: redactQuery(path),
      scheme,
      authority,
      response_code: statusCode,
      ...(grpcStatus < 0 ? {} : { grpc_status: grpcStatusName(grpcStatus) }),
      response_flags: flag === '' ? '-' : flag,
      bytes_sent: requestBytes,
      bytes_received: responseBytes,
      duration: Math.round(durationMs),
      upstream_host: dash(endpointAddress),
      upstream_cluster: dash(clusterName),
      upstream_request_attempt_count: attempts,
      route_name: dash(routeName),
      ...(traceId === '' ? {} : { trace_id: traceId }),
      ...(error === null ? {} : { error: error.message }),
    })
  }

  /** @param startedAtWall in milliseconds since the epoch */
  writeRequest(request: InboundRequest, outcome: InboundOutcome, place: TraceContext | null, startedAtWall: number): void {
    const { method, path, protocolVersion, scheme, authority, peerAddress, peerPort, headers } = request
    const { statusCode, grpcStatus, wasAborted, requestBytes, responseBytes, durationMs, route, error } = outcome
    const userAgent = headers['user-agent']
    this.#write({
      start_time: new Date(startedAtWall).toISOString(),
      direction: 'inbound',
      method,
      path: redactQuery(path),
      scheme,
      authority,
      protocol: `HTTP/${protocolVersion}`,
      response_code: statusCode,
      ...(grpcStatus < 0 ? {} : { grpc_status: grpcStatusName(grpcStatus) }),
      response_flags: wasAborted ? 'DC' : '-',
      bytes_received: requestBytes,
      bytes_sent: responseBytes,
      duration: Math.round(durationMs),
      downstream_remote_address: peerAddress === '' ? '-' : `${peerAddress}:${peerPort}`,
      ...(request.sourcePrincipal === '' ? {} : { downstream_peer_uri_san: request.sourcePrincipal }),
      user_agent: typeof userAgent === 'string' ? userAgent : '-',
      route_name: dash(route),
      ...(place === null ? {} : { trace_id: place.traceId }),
      ...(error === null ? {} : { error: error.message }),
    })
  }

  /** Hands what is collected to the destination. */
  flush(): void {
    this.#isScheduled = false
    if (this.#batch === '') return
    this.#out.write(this.#batch)
    this.#batch = ''
  }

  #write(line: object): void {
    if (this.#out.writableLength + this.#batch.length > maxBufferedBytes) {
      this.#dropped++
      return
    }
    this.#batch += `${JSON.stringify(line)}\n`
    if (this.#batch.length >= batchBytes) {
      this.flush()
    } else if (!this.#isScheduled) {
      this.#isScheduled = true
      setImmediate(() => this.flush())
    }
  }
}

/** The access log that `INMESH_ACCESS_LOG` names: `stdout`, `stderr` or the path of a file; `null` when it is not set. */
export function accessLogFrom(value: string | undefined): AccessLog | null {
  if (value === undefined || value === '') return null
  if (value === 'stdout') return new AccessLog(process.stdout)
  if (value === 'stderr') return new AccessLog(process.stderr)
  return new AccessLog(createWriteStream(value, { flags: 'a' }))
}

function dash(text: string): string {
  return text === '' ? '-' : text
}
