/**
 * What a decision about an inbound request is made of. The caller fills it once per request, from the connection and the request
 * line as they came in, after the path was made canonical; nothing in it was said by the peer and believed unseen, but `headers`.
 */
export interface InboundAttributes {
  /** As sent: methods are told apart by case (RFC 9110 §9.1). */
  readonly method: string
  /** The canonical path, without query; the same string that the application routes on. */
  readonly path: string
  /** With its `?`, or empty. */
  readonly query: string
  /** The one authority of the request: `:authority`, else `Host` (gRFC A41). With its port when it was sent with one. */
  readonly authority: string
  /** Name, value, name, value, in the order of arrival and with every repetition; names in lower case. Never merged, never cut. */
  readonly headers: readonly string[]
  readonly peer: InboundPeer
  /** The address that the connection came to. */
  readonly destination: SocketEndpoint
  /** Server name of the TLS handshake; empty without one. */
  readonly requestedServerName: string
  /** `undefined` without a token that was verified. */
  readonly claims: JwtClaims | undefined
  /** What other filters have left, by their names; absent where none has. */
  readonly metadata?: ReadonlyMap<string, unknown> | undefined
}

/** An end of a connection. */
export interface SocketEndpoint {
  /** IPv4, IPv6 or IPv4 in IPv6; empty where there is none, as on a Unix socket. */
  readonly address: string
  readonly port: number
}

/** Who is at the other end of the connection: the socket's address, never what a header says of it. */
export interface InboundPeer extends SocketEndpoint {
  /** Whether it speaks TLS, with or without a certificate of its own. */
  readonly isSecure: boolean
  /** What its certificate is asked for, only when its chain was verified, and its SPIFFE ID where it must have one: the URIs, else the DNS names, else the subject (gRFC A41). */
  readonly principals: readonly string[]
  /** Everything that the certificate calls it by. */
  readonly names: readonly string[]
}

/** A JSON Web Token whose signature, issuer, audience and times were verified. */
export interface JwtClaims {
  readonly issuer: string
  readonly subject: string
  readonly audience: readonly string[]
  /** The whole payload. */
  readonly raw: Readonly<Record<string, unknown>>
}
