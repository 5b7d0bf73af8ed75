import type { HttpConnectionManager, Listener } from './listener.ts'
import type { CertificateSource, SubjectAltNameMatcher, TlsVersion, TrustSource } from './tls.ts'

/** An LDS resource as a server uses it (gRFC A36): what is done with a connection that comes in. */
export interface InboundListener {
  readonly name: string
  /** Where it is bound, as the control plane has it; `undefined` where it does not say. */
  readonly address: { readonly address: string; readonly port: number } | undefined
  readonly filterChains: readonly FilterChain[]
  /** For connections that no chain matches; without one they are closed. */
  readonly defaultFilterChain: FilterChain | undefined
}

/** `envoy.config.listener.v3.FilterChain`. */
export interface FilterChain {
  /** May be empty. */
  readonly name: string
  readonly match: FilterChainMatch
  readonly http: HttpConnectionManager
  /** `undefined`: plain text. */
  readonly tls: DownstreamTls | undefined
}

/** `FilterChainMatch`; what is empty matches everything. Of several chains that match, the most specific wins (gRFC A36). */
export interface FilterChainMatch {
  /** Destination. */
  readonly prefixRanges: readonly CidrRange[]
  readonly sourceType: 'any' | 'same-ip-or-loopback' | 'external'
  readonly sourcePrefixRanges: readonly CidrRange[]
  readonly sourcePorts: readonly number[]
  /** Empty, `raw_buffer` or `tls`. */
  readonly transportProtocol: string
  /** It names a destination port, server names or application protocols, which are not looked at: it never matches (gRFC A36). */
  readonly isUnsupported: boolean
}

/** `envoy.config.core.v3.CidrRange`. */
export interface CidrRange {
  /** An IPv4 or IPv6 address. */
  readonly address: string
  /** 0 to 32 or 128. */
  readonly prefixLength: number
}

/** `DownstreamTlsContext`: how a server proves who it is, and whom it takes. */
export interface DownstreamTls {
  readonly certificate: CertificateSource
  /** `undefined`: clients are not asked for a certificate. */
  readonly trust: TrustSource | undefined
  readonly requiresClientCertificate: boolean
  /** One of them must match a name in the client's certificate; empty: any. */
  readonly subjectAltNames: readonly SubjectAltNameMatcher[]
  /** `undefined`: 1.3 with an identity of the mesh, which both sides then have; else 1.2. */
  readonly minVersion: TlsVersion | undefined
  readonly maxVersion: TlsVersion
}

/** Whether a listener was read as a server's. */
export function isInboundListener(listener: Listener | InboundListener): listener is InboundListener {
  return 'filterChains' in listener
}
