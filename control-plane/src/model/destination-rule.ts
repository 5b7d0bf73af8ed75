import type { ObjectMeta } from './object-meta.ts'

/** `networking.istio.io` DestinationRule. */
export interface DestinationRule {
  readonly meta: ObjectMeta
  /** Full name or wildcard, lower case. */
  readonly host: string
  /** Labels of the callers that obey it; `undefined` for all. */
  readonly workloadSelector: Readonly<Record<string, string>> | undefined
  readonly trafficPolicy: TrafficPolicy | undefined
  readonly subsets: readonly Subset[]
}

export interface Subset {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly trafficPolicy: TrafficPolicy | undefined
}

/** What a port can have of its own. */
export interface PortPolicy {
  readonly connectionPool: ConnectionPool | undefined
  readonly loadBalancer: LoadBalancer | undefined
  readonly outlierDetection: OutlierDetection | undefined
  readonly tls: ClientTls | undefined
}

export interface TrafficPolicy extends PortPolicy {
  readonly retryBudget: RetryBudget | undefined
  readonly ports: ReadonlyMap<number, PortPolicy>
}

/** Zero and `undefined` mean no limit. */
export interface ConnectionPool {
  readonly maxConnections: number | undefined
  readonly connectTimeoutMs: number | undefined
  readonly maxConnectionDurationMs: number | undefined
  readonly idleTimeoutMs: number | undefined
  readonly tcpKeepalive:
    | { readonly probes: number | undefined; readonly timeMs: number | undefined; readonly intervalMs: number | undefined }
    | undefined
  readonly http1MaxPendingRequests: number | undefined
  readonly http2MaxRequests: number | undefined
  readonly maxRequestsPerConnection: number | undefined
  readonly maxRetries: number | undefined
  readonly maxConcurrentStreams: number | undefined
  readonly upgradeToHttp2: boolean
  readonly http2KeepAlive: { readonly intervalMs: number; readonly timeoutMs: number } | undefined
}

export interface RetryBudget {
  /** 0 to 100; default 20. */
  readonly percent: number
  readonly minRetryConcurrency: number | undefined
}

export interface LoadBalancer {
  readonly policy: 'round-robin' | 'least-request' | 'random' | ConsistentHash
  readonly locality: LocalitySetting | undefined
  readonly warmup:
    | { readonly durationMs: number; readonly minimumPercent: number | undefined; readonly aggression: number | undefined }
    | undefined
}

export interface ConsistentHash {
  /** `undefined`: nothing is hashed, and the balancer picks at random. */
  readonly key: HashKey | undefined
  readonly table:
    | { readonly kind: 'ring'; readonly minimumSize: number | undefined }
    | { readonly kind: 'maglev'; readonly size: number }
}

export type HashKey =
  | { readonly kind: 'header' | 'query-parameter'; readonly name: string }
  | {
      readonly kind: 'cookie'
      readonly name: string
      readonly path: string
      /** `undefined`: the cookie is never made; 0: it lasts for the session. */
      readonly ttlMs: number | undefined
    }
  | { readonly kind: 'source-ip' }

/** `localityLbSetting`. */
export interface LocalitySetting {
  /** Shares in percent by locality, for callers in the locality `from`. Localities are `region/zone/subZone` with `*` at the end. */
  readonly distribute: readonly { readonly from: string; readonly to: ReadonlyMap<string, number> }[]
  readonly failover: readonly { readonly from: string; readonly to: string }[]
  /** Labels, each `name` or `name=value`. */
  readonly failoverPriority: readonly string[]
  readonly enabled: boolean
}

/** `undefined` leaves Envoy's default. */
export interface OutlierDetection {
  /** 0 is off. */
  readonly consecutive5xxErrors: number | undefined
  /** 0 is off. */
  readonly consecutiveGatewayErrors: number | undefined
  readonly splitExternalLocalOriginErrors: boolean
  readonly consecutiveLocalOriginFailures: number | undefined
  readonly intervalMs: number | undefined
  readonly baseEjectionTimeMs: number | undefined
  /** Percent; 0 leaves the default. */
  readonly maxEjectionPercent: number
  /** Percent; default 0, no panic. */
  readonly minHealthPercent: number
}

/** No client takes a longer SNI. */
export const maxSniBytes = 255

export type ClientTls =
  | { readonly mode: 'disable' }
  /** With the identities of the mesh. */
  | { readonly mode: 'mesh'; readonly sni: string; readonly subjectAltNames: readonly string[] }
  | {
      readonly mode: 'simple'
      /** May be empty. */
      readonly sni: string
      readonly subjectAltNames: readonly string[]
      /** Path of a PEM file; empty for the system's roots. */
      readonly caCertificates: string
    }
