import type { CircuitBreakerThresholds } from '../../policies/circuit-breaker.ts'
import type { EndpointMetric } from '../../policies/endpoint-metrics.ts'
import type { HealthCheckConfig } from '../../policies/health-check.ts'
import type { CommonLbConfig, LoadBalancingConfig } from '../../policies/load-balancing/config.ts'
import type { OutlierDetectionConfig } from '../../policies/outlier-detection.ts'
import type { Destination } from '../../telemetry/outcome.ts'
import type { ClusterLoadAssignment, HealthStatus } from './endpoint.ts'
import type { CertificateSource, SubjectAltNameMatcher, TlsVersion, TrustSource } from './tls.ts'

/** A CDS resource: `envoy.config.cluster.v3.Cluster`. */
export interface ClusterConfig {
  readonly name: string
  readonly discovery: ClusterDiscovery
  readonly loadBalancing: LoadBalancingConfig
  readonly commonLb: CommonLbConfig
  /** Of endpoints that a session may name (`override_host_status`); default unknown, healthy and degraded. */
  readonly overrideHostStatuses: readonly HealthStatus[]
  /** Default 5,000; includes the TLS handshake. */
  readonly connectTimeoutMs: number
  readonly circuitBreakers: { readonly default: CircuitBreakerThresholds; readonly high: CircuitBreakerThresholds }
  /** `undefined`: no outlier detection. */
  readonly outlierDetection: OutlierDetectionConfig | undefined
  /** `undefined`: nobody asks the endpoints. */
  readonly healthCheck: HealthCheckConfig | undefined
  readonly tls: UpstreamTls | undefined
  /** In order; the first that fits an endpoint wins over {@link tls}. */
  readonly tlsMatches: readonly TransportSocketMatch[]
  readonly http: UpstreamHttp
  /** From the `istio` metadata, else from the name `outbound|port|subset|host`, else the cluster's name. */
  readonly destination: Destination
  /** `undefined`: its load is not reported to the control plane. */
  readonly loadReporting: LoadReporting | undefined
}

/** `lrs_server`, which is always the server that the cluster came from. */
export interface LoadReporting {
  /** What of the endpoints' own reports is passed on (`lrs_report_endpoint_metrics`). */
  readonly metrics: readonly EndpointMetric[]
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

/** `UpstreamTlsContext`. An unverified context is never built from it. */
export interface UpstreamTls {
  /** Empty: no SNI, unless {@link autoSni} or {@link autoHostSni} say one. */
  readonly sni: string
  /** The SNI is the hostname of the endpoint, where it has one (`auto_host_sni`, gRFC A101). It goes before {@link sni}. */
  readonly autoHostSni: boolean
  /** The SNI is the name that is called (`HttpProtocolOptions`). It goes before both. */
  readonly autoSni: boolean
  /** `undefined`: none is shown. */
  readonly certificate: CertificateSource | undefined
  readonly trust: TrustSource
  /** One of them must match a name in the peer's certificate; empty: it must be for the SNI, or for the name that is called where there is none. */
  readonly subjectAltNames: readonly SubjectAltNameMatcher[]
  /** A DNS name in the certificate must be the SNI that was sent, in place of {@link subjectAltNames} (`auto_sni_san_validation`). */
  readonly autoSniSanValidation: boolean
  /** A name in the certificate must be the one that is called, in place of both (`HttpProtocolOptions.auto_san_validation`). */
  readonly autoSanValidation: boolean
  readonly alpnProtocols: readonly string[]
  /** `undefined`: 1.3 with an identity of the mesh, which both sides then have; else 1.2. */
  readonly minVersion: TlsVersion | undefined
  readonly maxVersion: TlsVersion
}

/** An entry of `transport_socket_matches`. */
export interface TransportSocketMatch {
  /** What the endpoint's metadata `envoy.transport_socket_match` must hold; nothing fits every endpoint. */
  readonly criteria: Readonly<Record<string, string>>
  /** `undefined`: in plain text. */
  readonly tls: UpstreamTls | undefined
}
