/** Header values as Node has them. */
export type InboundHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/** A request as a server of this process received it. */
export interface InboundRequest {
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
}

/** How the request ended. */
export interface InboundOutcome {
  readonly statusCode: number
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

/** `error.type` of an inbound request: what was thrown, else a status of 500 or more, else empty (HTTP server conventions). */
export function serverErrorType({ statusCode, error, wasAborted }: InboundOutcome): string {
  if (statusCode >= 500) return String(statusCode)
  if (error !== null) return error.name === '' ? '_OTHER' : error.name
  return wasAborted ? 'aborted' : ''
}
