import type { FractionalPercent } from '../fraction.ts'
import type { MetadataMatcher } from '../rbac/metadata-matcher.ts'
import type { StringMatcher } from '../string-matcher.ts'

/** `envoy.extensions.filters.http.ext_authz.v3.ExtAuthz`, decoded: somebody else is asked whether a request may pass. */
export interface ExtAuthzConfig {
  readonly authorizer: GrpcAuthorizer | HttpAuthorizer
  /** `failure_mode_allow`: a request passes when there is no answer, or an HTTP 5xx. Default false. */
  readonly allowsOnFailure: boolean
  /** `failure_mode_allow_header_add`: it then has `x-envoy-auth-failure-mode-allowed: true`. Default false. */
  readonly marksFailure: boolean
  /** `status_on_error`, 200 to 599: the HTTP status when there is no answer. Default 403. */
  readonly statusOnError: number
  /** `with_request_body`; `undefined`: the body is not looked at. */
  readonly body: BodySettings | undefined
  /** `allowed_headers`: those that the authorizer is told of; `undefined`: all. */
  readonly allowedHeaders: readonly StringMatcher[] | undefined
  /** `disallowed_headers`: those that it is never told of. */
  readonly disallowedHeaders: readonly StringMatcher[]
  /** `filter_enabled`, of all requests; `undefined`: all. */
  readonly enabledFraction: FractionalPercent | undefined
  /** `filter_enabled_metadata`: only requests of which earlier filters have left this; `undefined`: all. */
  readonly enabledMetadata: MetadataMatcher | undefined
  /** `deny_at_disable`: a request for which the filter is not enabled is denied. Default false. */
  readonly deniesWhenDisabled: boolean
  /** `clear_route_cache`: a request that was changed may match another route from here on. */
  readonly clearsRoute: boolean
  /** `include_peer_certificate`. */
  readonly includesCertificate: boolean
  /** `include_tls_session`: the server name is told. */
  readonly includesServerName: boolean
  /** `encode_raw_headers`: every header line by itself, in order (`header_map`). */
  readonly encodesRawHeaders: boolean
  /** `metadata_context_namespaces`: what filters of these names have left is told. */
  readonly metadataNamespaces: readonly string[]
  /** `enable_dynamic_metadata_ingestion`: what the authorizer leaves for later filters is kept. Default true. */
  readonly keepsMetadata: boolean
}

/** `grpc_service.envoy_grpc`: `envoy.service.auth.v3.Authorization/Check` of a cluster. */
export interface GrpcAuthorizer {
  readonly kind: 'grpc'
  readonly cluster: string
  /** `:authority` of the calls. Default the name of the cluster. */
  readonly authority: string
  /** Default 200; 0: no limit. */
  readonly timeoutMs: number
  /** `initial_metadata`, with `%COMMANDS%`. */
  readonly metadata: readonly NamedValue[]
}

/** `http_service`: a request like the one that is judged, to a cluster. */
export interface HttpAuthorizer {
  readonly kind: 'http'
  readonly cluster: string
  /** 0: no limit. */
  readonly timeoutMs: number
  /** Before the path; may be empty. */
  readonly pathPrefix: string
  /** `headers_to_add`, with `%COMMANDS%`; those of the request are replaced. */
  readonly headersToAdd: readonly NamedValue[]
  /** Of a 200, put into the request in place of its own. */
  readonly upstreamHeaders: readonly StringMatcher[]
  /** Of a 200, put into the request beside its own. */
  readonly upstreamHeadersToAppend: readonly StringMatcher[]
  /** Of a denial, sent to the caller; none: all of them. */
  readonly clientHeaders: readonly StringMatcher[]
  /** Of a 200, added to the answer of the application. */
  readonly clientHeadersOnSuccess: readonly StringMatcher[]
  /** Of a 200, left for later filters. */
  readonly metadataHeaders: readonly StringMatcher[]
}

/** A header that a configuration adds. */
export interface NamedValue {
  /** Lower case. */
  readonly name: string
  readonly value: string
}

/** `BufferSettings`: how much of the body the authorizer is told. */
export interface BodySettings {
  /** > 0. */
  readonly maxBytes: number
  /** A longer body is cut; else it is refused with 413. */
  readonly allowsPartial: boolean
  /** As `raw_body`, else as text in which what is no UTF-8 is replaced. */
  readonly isRaw: boolean
}

/** `ExtAuthzPerRoute.check_settings`: what a virtual host or a route changes. */
export interface CheckSettings {
  /** Told to the authorizer; those of a route go over those of its virtual host. */
  readonly contextExtensions: Readonly<Record<string, string>>
  readonly disablesBody: boolean
  /** In place of that of the filter. */
  readonly body: BodySettings | undefined
}
