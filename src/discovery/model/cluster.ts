import type { CircuitBreakerThresholds } from '../../policies/circuit-breaker.ts'
import type { HealthCheckConfig } from '../../policies/health-check.ts'
import type { CommonLbConfig, LoadBalancingConfig } from '../../policies/load-balancing/config.ts'
import type { OutlierDetectionConfig } from '../../policies/outlier-detection.ts'
import type { Destination } from '../../telemetry/outcome.ts'
import type { ClusterLoadAssignment } from './endpoint.ts'

/** A CDS resource: `envoy.config.cluster.v3.Cluster`. */
export interface ClusterConfig {
  readonly name: string
  readonly discovery: ClusterDiscovery
  readonly loadBalancing: LoadBalancingConfig
  readonly commonLb: CommonLbConfig
  /** Default 5,000; includes the TLS handshake. */
  readonly connectTimeoutMs: number
  readonly circuitBreakers: { readonly default: CircuitBreakerThresholds; readonly high: CircuitBreakerThresholds }
  /** `undefined`: no outlier detection. */
  readonly outlierDetection: OutlierDetectionConfig | undefined
  /** `undefined`: nobody asks the endpoints. */
  readonly healthCheck: HealthCheckConfig | undefined
  readonly tls: UpstreamTls | undefined
  readonly http: UpstreamHttp
  /** From the `istio` metadata, else from the name `outbound|port|subset|host`, else the cluster's name. */
  readonly destination: Destination
}

export type ClusterDiscovery =
  | { readonly kind: 'eds' /** `service_name`, else the cluster's name. */; readonly edsServiceName: string }
  | { readonly kind: 'static'; readonly assignment: ClusterLoadAssignment }
  | {
      readonly kind: 'strict-dns' | 'logical-dns'
      readonly assignment: ClusterLoadAssignment /** Default 5,000. */
      readonly refreshRateMs: number
    }
  | { readonly kind: 'aggregate'; readonly clusters: readonly string[] }

/** What `HttpProtocolOptions` says. */
export interface UpstreamHttp {
  readonly protocol: 'http1' | 'http2'
  /** Default 3,600,000. */
  readonly idleTimeoutMs: number | undefined
  readonly maxConnectionDurationMs: number | undefined
  readonly maxRequestsPerConnection: number | undefined
}

/** `UpstreamTlsContext`, reduced to simple TLS for now: an unverified context is never built from it. */
export interface UpstreamTls {
  readonly sni: string
  /** PEM, or `undefined` for the system roots. */
  readonly trustedCa: string | undefined
  /** Exact DNS or URI names, one of which the peer must carry; empty means the SNI. */
  readonly subjectAltNames: readonly string[]
  readonly alpnProtocols: readonly string[]
}
