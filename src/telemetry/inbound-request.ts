import { grpcStatusName } from './rpc-conventions.ts'

/** Header values as Node has them. */
export type InboundHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/** How a connection is secured: by TLS with a verified certificate of the caller, by TLS without one, not at all (Istio's words). */
export type ConnectionSecurity = 'mutual_tls' | 'tls' | 'none'

/** A request as a server of this process received it. */
export interface InboundRequest {
  /** A gRPC call, whose method is that of the path. */
  readonly isGrpc: boolean
  readonly method: string
  /** `http` or `https`. */
  readonly scheme: string
  /** The Host header; empty when there was none. */
  readonly authority: string
  /** Path and query. */
  readonly path: string
  /** `1.0`, `1.1` or `2`. */
  readonly protocolVersion: string
  readonly headers: InboundHeaders
  /** Address and port at the other end of the connection; empty and 0 when it is gone. */
  readonly peerAddress: string
  readonly peerPort: number
  /** The caller as its verified certificate names it: its SPIFFE ID, else its first name. Empty without one. */
  readonly sourcePrincipal: string
  readonly security: ConnectionSecurity
}

/** How the request ended. */
export interface InboundOutcome {
  readonly statusCode: number
  /** Of a gRPC call; -1 of an HTTP request. */
  readonly grpcStatus: number
  /** Pattern of the route that the application's framework matched, or empty. */
  readonly route: string
  readonly durationMs: number
  readonly requestBytes: number
  readonly responseBytes: number
  /** The caller went away before the answer was complete. */
  readonly wasAborted: boolean
  /** What the application threw, if it threw. */
  readonly error: Error | null
}

/** The statuses of gRPC that are errors of the server: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS. */
const serverErrors = new Set([2, 4, 12, 13, 14, 15])

/**
 * `error.type` of an inbound request: what was thrown, else a status of 500 or more, else empty (HTTP server conventions); of a gRPC call, the
 * status that is an error of the server's.
 */
export function serverErrorType({ statusCode, grpcStatus, error, wasAborted }: InboundOutcome): string {
  if (grpcStatus >= 0) return serverErrors.has(grpcStatus) ? grpcStatusName(grpcStatus) : ''
  if (statusCode >= 500) return String(statusCode)
  if (error !== null) return error.name === '' ? '_OTHER' : error.name
  return wasAborted ? 'aborted' : ''
}
