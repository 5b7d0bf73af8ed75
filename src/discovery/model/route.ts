import type { FractionalPercent } from '../../policies/fraction.ts'
import type { HashPolicy } from '../../policies/hash-policy.ts'
import type { HeaderMatcher } from '../../policies/header-matcher.ts'
import type { HeaderMutations } from '../../policies/header-mutation.ts'
import type { MirrorPolicy } from '../../policies/mirror.ts'
import type { QueryParameterMatcher } from '../../policies/query-parameter-matcher.ts'
import type { RetryPolicy } from '../../policies/retry.ts'
import type { FilterConfig } from './listener.ts'

/** An RDS resource: `envoy.config.route.v3.RouteConfiguration`. */
export interface RouteConfiguration {
  readonly name: string
  readonly virtualHosts: readonly VirtualHost[]
  readonly headerMutations: HeaderMutations
  readonly ignorePortInHostMatching: boolean
  readonly mostSpecificHeaderMutationsWins: boolean
}

export interface VirtualHost {
  readonly name: string
  /** Exact, `*suffix`, `prefix*` or `*`; lower case. */
  readonly domains: readonly string[]
  /** First match wins. */
  readonly routes: readonly Route[]
  readonly headerMutations: HeaderMutations
  /** Replaced, never merged, by a route's. */
  readonly retryPolicy: RetryPolicy | undefined
  readonly requireTls: 'none' | 'external-only' | 'all'
  readonly includeRequestAttemptCount: boolean
  readonly includeAttemptCountInResponse: boolean
  readonly filterOverrides: FilterOverrides
}

/** `typed_per_filter_config`: by filter name. */
export type FilterOverrides = Readonly<Record<string, FilterConfig>>

export interface Route {
  /** May be empty. */
  readonly name: string
  readonly match: RouteMatch
  readonly action: RouteAction
  readonly headerMutations: HeaderMutations
  readonly filterOverrides: FilterOverrides
}

export interface RouteMatch {
  readonly path: PathMatch
  /** All must match. */
  readonly headers: readonly HeaderMatcher[]
  /** All must match. */
  readonly queryParameters: readonly QueryParameterMatcher[]
  readonly runtimeFraction: FractionalPercent | undefined
  /** Only gRPC requests (`content-type: application/grpc`, with or without a suffix). */
  readonly grpcOnly: boolean
}

/** The query is not part of what is matched, except for `prefix`, which never reaches it in practice. */
export type PathMatch =
  | { readonly kind: 'exact' | 'prefix' | 'separated-prefix'; readonly value: string; readonly ignoreCase: boolean }
  /** RE2; must match the whole path. */
  | { readonly kind: 'regex'; readonly regex: string }
  /** `uri_template` (`envoy.path.match.uri_template.uri_template_matcher`). */
  | { readonly kind: 'template'; readonly template: string }

export type RouteAction = ForwardAction | RedirectAction | DirectResponseAction | NonForwardingAction

/** `RouteAction`: send the request to a cluster. */
export interface ForwardAction {
  readonly kind: 'forward'
  readonly clusters: ClusterSpecifier
  /** Status when the cluster is unknown; default 503. */
  readonly clusterNotFoundStatus: number
  /** Route timeout, retries included. `undefined` is off. When the resource has none, it is Envoy's 15,000. */
  readonly timeoutMs: number | undefined
  readonly idleTimeoutMs: number | undefined
  /** `max_stream_duration`, which also rules `grpc-timeout` (gRFC A31). */
  readonly maxStreamDuration:
    | {
        readonly maxStreamDurationMs: number | undefined
        readonly grpcTimeoutHeaderMaxMs: number | undefined
        readonly grpcTimeoutHeaderOffsetMs: number | undefined
      }
    | undefined
  readonly retryPolicy: RetryPolicy | undefined
  readonly pathRewrite: PathRewrite | undefined
  readonly hostRewrite: HostRewrite | undefined
  readonly appendXForwardedHost: boolean
  readonly hashPolicies: readonly HashPolicy[]
  readonly mirrors: readonly MirrorPolicy[]
  readonly hedgeOnPerTryTimeout: boolean
  readonly priority: 'default' | 'high'
}

export type ClusterSpecifier =
  | { readonly kind: 'cluster'; readonly name: string }
  | { readonly kind: 'header'; readonly header: string }
  | {
      readonly kind: 'weighted'
      readonly clusters: readonly WeightedCluster[]
      /** Sum of the weights, above 0. */
      readonly totalWeight: number
      /** Header that holds the random value, or empty. */
      readonly headerName: string
    }

export interface WeightedCluster {
  readonly name: string
  readonly weight: number
  readonly headerMutations: HeaderMutations
  readonly hostRewrite: string | undefined
  readonly filterOverrides: FilterOverrides
}

export type PathRewrite =
  | { readonly kind: 'prefix'; readonly value: string }
  /** RE2; every match is replaced; groups are `\1`. */
  | { readonly kind: 'regex'; readonly regex: string; readonly substitution: string }
  | { readonly kind: 'template'; readonly template: string }

export type HostRewrite =
  | { readonly kind: 'literal'; readonly value: string }
  /** The endpoint's hostname. */
  | { readonly kind: 'auto' }
  | { readonly kind: 'header'; readonly header: string }
  | { readonly kind: 'path-regex'; readonly regex: string; readonly substitution: string }

export interface RedirectAction {
  readonly kind: 'redirect'
  readonly status: 301 | 302 | 303 | 307 | 308
  /** `undefined` keeps the request's. */
  readonly scheme: string | undefined
  readonly host: string | undefined
  readonly port: number | undefined
  readonly path:
    | { readonly kind: 'replace' | 'prefix'; readonly value: string }
    | { readonly kind: 'regex'; readonly regex: string; readonly substitution: string }
    | undefined
  readonly stripQuery: boolean
}

export interface DirectResponseAction {
  readonly kind: 'direct-response'
  readonly status: number
  readonly body: string
}

export interface NonForwardingAction {
  readonly kind: 'non-forwarding'
}
