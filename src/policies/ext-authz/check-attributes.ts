/** What an authorizer is told of a request: `envoy.service.auth.v3.AttributeContext`. */
export interface CheckAttributes {
  readonly source: CheckPeer
  readonly destination: CheckPeer
  readonly request: CheckedRequest
  readonly contextExtensions: Readonly<Record<string, string>>
  /** What earlier filters have left, by their names. */
  readonly metadata: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** Of the TLS handshake; `undefined`: not told. */
  readonly serverName: string | undefined
}

/** One end of the connection. */
export interface CheckPeer {
  readonly address: string
  readonly port: number
  /** Of its verified certificate: the URI, else the DNS name, else the subject; empty without one. */
  readonly principal: string
  /** In PEM, percent-encoded; empty: not told. */
  readonly certificate: string
}

/** `AttributeContext.HttpRequest`. */
export interface CheckedRequest {
  readonly id: string
  /** Wall clock, in milliseconds. */
  readonly timeMs: number
  readonly method: string
  /** Name, value, name, value, as they came, with the pseudo headers of HTTP/2 and without those that are not to be told; names in lower case. */
  readonly headers: readonly string[]
  /** With its query. */
  readonly path: string
  readonly host: string
  readonly scheme: string
  /** Of the body as far as it was received, in bytes. */
  readonly size: number
  /** `HTTP/1.0`, `HTTP/1.1`, `HTTP/2`. */
  readonly protocol: string
  /** `undefined`: not told. */
  readonly body: CheckedBody | undefined
}

/** A body, or its beginning. */
export interface CheckedBody {
  readonly bytes: Uint8Array
  readonly isPartial: boolean
}

/** Tells an authorizer whether a body was cut. */
export const partialBodyHeader = 'x-envoy-auth-partial-body'
