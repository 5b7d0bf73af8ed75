/** An EDS resource: `envoy.config.endpoint.v3.ClusterLoadAssignment`. */
export interface ClusterLoadAssignment {
  readonly name: string
  /** Ordered by priority, then as sent. Localities without weight are kept; whether they count is the balancer's business. */
  readonly localities: readonly LocalityLbEndpoints[]
  /** Chance in `[0, 1]` of dropping a request, by category, in order. */
  readonly dropOverloads: readonly { readonly category: string; readonly probability: number }[]
  /** Percent; default 140. */
  readonly overprovisioningFactor: number
}

export interface LocalityLbEndpoints {
  readonly locality: Locality
  readonly priority: number
  /** `undefined`: no weight was given. */
  readonly weight: number | undefined
  readonly endpoints: readonly LbEndpoint[]
}

export interface Locality {
  readonly region: string
  readonly zone: string
  readonly subZone: string
}

export type HealthStatus = 'unknown' | 'healthy' | 'unhealthy' | 'draining' | 'timeout' | 'degraded'

export interface LbEndpoint {
  /** IP address, or host name in a DNS cluster, or the path of a Unix socket. */
  readonly address: string
  /** 0 for a Unix socket. */
  readonly port: number
  /** More addresses of the same endpoint (gRFC A61). */
  readonly additionalAddresses: readonly { readonly address: string; readonly port: number }[]
  readonly hostname: string
  readonly health: HealthStatus
  /** Default 1. */
  readonly weight: number
  /** String values of the `envoy.lb` metadata, or `undefined`. */
  readonly metadata: Readonly<Record<string, string>> | undefined
  /** String values of the `envoy.transport_socket_match` metadata, which choose among the cluster's transport sockets. */
  readonly transportSocketMatch: Readonly<Record<string, string>> | undefined
  /** `Endpoint.health_check_config`; `undefined`: it is checked where it is called. */
  readonly healthCheck: EndpointHealthCheck | undefined
}

/** What is special about the active health checks of one endpoint. */
export interface EndpointHealthCheck {
  /** Empty: the endpoint's own. */
  readonly address: string
  /** 0: the endpoint's own. */
  readonly port: number
  /** The Host header or authority; empty: that of the cluster's check. */
  readonly hostname: string
  readonly isDisabled: boolean
}
