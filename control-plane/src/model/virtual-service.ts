import type { ObjectMeta } from './object-meta.ts'
import type { StringMatch } from './string-match.ts'

/** `networking.istio.io` VirtualService, its HTTP part. */
export interface VirtualService {
  readonly meta: ObjectMeta
  /** Full names or wildcards, lower case. */
  readonly hosts: readonly string[]
  /** Whether calls inside the mesh obey it, and not gateways alone. */
  readonly appliesToMesh: boolean
  /** The first that matches wins. */
  readonly http: readonly HttpRoute[]
}

export interface HttpRoute {
  /** May be empty. */
  readonly name: string
  /** Any of them; none matches everything. */
  readonly matches: readonly HttpMatch[]
  readonly action: HttpForward | HttpRedirect | HttpDirectResponse
  readonly headers: HeaderOperations | undefined
  readonly fault: HttpFault | undefined
  readonly cors: CorsPolicy | undefined
}

/** A path. `path-prefix` is whole segments, as the Gateway API has it: `/a` and everything below. */
export type PathMatch = StringMatch | { readonly kind: 'path-prefix'; readonly value: string }

/** All that is given must match. */
export interface HttpMatch {
  readonly name: string
  readonly statPrefix: string
  readonly uri: PathMatch | undefined
  readonly ignoreUriCase: boolean
  readonly method: StringMatch | undefined
  readonly authority: StringMatch | undefined
  readonly scheme: StringMatch | undefined
  readonly headers: ReadonlyMap<string, StringMatch>
  readonly withoutHeaders: ReadonlyMap<string, StringMatch>
  readonly queryParams: ReadonlyMap<string, StringMatch>
  /** Port of the service that is called. */
  readonly port: number | undefined
  /** Of the caller. Overridden by `gateways`. */
  readonly sourceLabels: Readonly<Record<string, string>>
  readonly sourceNamespace: string
  readonly gateways: readonly string[]
}

/** `http[].route` with everything that only a forwarded request obeys. */
export interface HttpForward {
  readonly kind: 'forward'
  readonly destinations: readonly WeightedDestination[]
  readonly rewrite: HttpRewrite | undefined
  /** `undefined`: none. */
  readonly timeoutMs: number | undefined
  /** `undefined`: Istio's default. */
  readonly retries: HttpRetries | undefined
  readonly mirrors: readonly Mirror[]
  /** Answers a call whose destination does not exist. */
  readonly missingStatus: 500 | 503
}

export interface Destination {
  /** Full name, lower case. */
  readonly host: string
  /** Empty for every endpoint of the host. */
  readonly subset: string
  readonly port: number | undefined
}

export interface WeightedDestination {
  readonly destination: Destination
  readonly weight: number
  readonly headers: HeaderOperations | undefined
}

export interface HttpRewrite {
  readonly uri: string
  readonly uriRegex: { readonly match: string; readonly rewrite: string } | undefined
  readonly authority: string
}

export interface HttpRetries {
  /** 0 is off. */
  readonly attempts: number
  readonly perTryTimeoutMs: number | undefined
  /** Conditions and statuses; empty for Istio's default list. */
  readonly retryOn: readonly string[]
  readonly backoffMs: number | undefined
  readonly retryRemoteLocalities: boolean
  /** `undefined`: unless the destination hashes. */
  readonly ignorePreviousHosts: boolean | undefined
}

export interface Mirror {
  readonly destination: Destination
  /** 0 to 100. */
  readonly percentage: number
}

export interface HttpRedirect {
  readonly kind: 'redirect'
  readonly status: 301 | 302 | 303 | 307 | 308
  readonly uri: string
  readonly prefixRewrite: string
  readonly uriRegex: HttpRewrite['uriRegex']
  readonly authority: string
  readonly scheme: string
  /** `request` is the port that was called. */
  readonly port: number | 'request' | undefined
}

export interface HttpDirectResponse {
  readonly kind: 'direct-response'
  readonly status: number
  readonly body: string | Uint8Array
}

export interface HeaderOperations {
  readonly request: HeaderChanges
  readonly response: HeaderChanges
}

export interface HeaderChanges {
  readonly set: ReadonlyMap<string, string>
  readonly add: ReadonlyMap<string, string>
  readonly remove: readonly string[]
}

export interface HttpFault {
  readonly delay: { readonly fixedDelayMs: number; readonly percentage: number } | undefined
  readonly abort:
    | { readonly status: { readonly http: number } | { readonly grpc: number }; readonly percentage: number }
    | undefined
}

export interface CorsPolicy {
  readonly allowOrigins: readonly StringMatch[]
  readonly allowMethods: readonly string[]
  readonly allowHeaders: readonly string[]
  readonly exposeHeaders: readonly string[]
  readonly maxAgeSeconds: number | undefined
  readonly allowCredentials: boolean | undefined
  readonly forwardUnmatchedPreflights: boolean
}
