import type { ClusterConfig } from '../../src/discovery/model/cluster.ts'
import type { ClusterLoadAssignment, LbEndpoint, LocalityLbEndpoints } from '../../src/discovery/model/endpoint.ts'
import type { Listener } from '../../src/discovery/model/listener.ts'
import type { ClusterState, ConfigSource, InboundState, MeshConfig, TargetState } from '../../src/discovery/model/mesh-config.ts'
import { emptyMeshConfig } from '../../src/discovery/model/mesh-config.ts'
import type { ForwardAction, Route, RouteConfiguration, VirtualHost } from '../../src/discovery/model/route.ts'
import { defaultThresholds } from '../../src/policies/circuit-breaker.ts'
import { noHeaderMutations } from '../../src/policies/header-mutation.ts'
import type { OutlierDetectionConfig } from '../../src/policies/outlier-detection.ts'
import type { RetryPolicy } from '../../src/policies/retry.ts'

/** A source that says what the test tells it. */
export class FakeConfigSource implements ConfigSource {
  current: MeshConfig = emptyMeshConfig
  readonly watched = new Set<string>()
  /** Every `watch` and `unwatch`, in order. */
  readonly calls: string[] = []
  isClosed = false
  readonly #listeners = new Set<(config: MeshConfig) => void>()

  watch(authority: string): void {
    this.calls.push(`watch ${authority}`)
    this.watched.add(authority)
  }

  unwatch(authority: string): void {
    this.calls.push(`unwatch ${authority}`)
    this.watched.delete(authority)
  }

  /** Servers are configured once a test sets this. */
  inboundName: ConfigSource['inboundName'] = () => undefined

  watchInbound(name: string): void {
    this.calls.push(`watch inbound ${name}`)
  }

  unwatchInbound(name: string): void {
    this.calls.push(`unwatch inbound ${name}`)
  }

  onChange(listener: (config: MeshConfig) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  async close(): Promise<void> {
    this.isClosed = true
  }

  /** Changes some targets and clusters; the rest keeps its identity. */
  set(change: { readonly targets?: Readonly<Record<string, TargetState>>; readonly clusters?: readonly ClusterState[] }): void {
    const targets = change.targets === undefined ? this.current.targets : new Map(this.current.targets)
    const clusters = change.clusters === undefined ? this.current.clusters : new Map(this.current.clusters)
    for (const [name, state] of Object.entries(change.targets ?? {})) if (targets instanceof Map) targets.set(name, state)
    for (const state of change.clusters ?? []) {
      if (state.kind === 'ready' && clusters instanceof Map) clusters.set(state.config.name, state)
    }
    this.replace({ ...this.current, targets, clusters })
  }

  /** What is known about the listener of a server. */
  setInbound(name: string, state: InboundState): void {
    this.replace({ ...this.current, inbound: new Map(this.current.inbound).set(name, state) })
  }

  /** Replaces everything. */
  replace(config: MeshConfig): void {
    this.current = config
    for (const listener of this.#listeners) listener(config)
  }
}

/** A route that forwards every path to `cluster`, with no timeout and no retries; change what the test is about. */
export function makeRoute(cluster: string, action: Partial<ForwardAction> = {}, route: Partial<Route> = {}): Route {
  return {
    name: '',
    match: {
      path: { kind: 'prefix', value: '/', ignoreCase: false },
      headers: [],
      queryParameters: [],
      runtimeFraction: undefined,
      grpcOnly: false,
    },
    action: {
      kind: 'forward',
      clusters: { kind: 'cluster', name: cluster },
      clusterNotFoundStatus: 503,
      timeoutMs: undefined,
      idleTimeoutMs: undefined,
      maxStreamDuration: undefined,
      retryPolicy: undefined,
      pathRewrite: undefined,
      hostRewrite: undefined,
      appendXForwardedHost: false,
      hashPolicies: [],
      mirrors: [],
      hedgeOnPerTryTimeout: false,
      priority: 'default',
      ...action,
    },
    headerMutations: noHeaderMutations,
    filterOverrides: {},
    ...route,
  }
}

/** A virtual host for every authority. */
export function makeVirtualHost(routes: readonly Route[], virtualHost: Partial<VirtualHost> = {}): VirtualHost {
  return {
    name: 'everything',
    domains: ['*'],
    routes,
    headerMutations: noHeaderMutations,
    retryPolicy: undefined,
    requireTls: 'none',
    includeRequestAttemptCount: false,
    includeAttemptCountInResponse: false,
    filterOverrides: {},
    ...virtualHost,
  }
}

/** A target whose routes are known. */
export function makeTarget(virtualHosts: readonly VirtualHost[], http: Partial<Listener['http']> = {}): TargetState {
  const routeConfiguration: RouteConfiguration = {
    name: 'routes',
    virtualHosts,
    headerMutations: noHeaderMutations,
    ignorePortInHostMatching: false,
    mostSpecificHeaderMutationsWins: false,
  }
  const listener: Listener = {
    name: 'listener',
    http: {
      routes: { kind: 'inline', routeConfiguration },
      filters: [],
      maxStreamDurationMs: undefined,
      streamIdleTimeoutMs: undefined,
      normalizePath: false,
      mergeSlashes: false,
      ...http,
    },
  }
  return { kind: 'ready', listener, routeConfiguration }
}

/** A round-robin cluster of the given `address:port` endpoints. */
export function makeCluster(
  name: string,
  endpoints: readonly (string | Partial<LbEndpoint>)[],
  config: Partial<ClusterConfig> = {},
): ClusterState {
  return {
    kind: 'ready',
    assignment: makeAssignment(name, [{ endpoints: endpoints.map(makeEndpoint) }]),
    config: {
      name,
      discovery: { kind: 'eds', edsServiceName: name },
      loadBalancing: { kind: 'round-robin', slowStart: undefined },
      commonLb: { healthyPanicThreshold: 50, failTrafficOnPanic: false, localityWeighted: false },
      overrideHostStatuses: ['unknown', 'healthy', 'degraded'],
      connectTimeoutMs: 5000,
      circuitBreakers: { default: defaultThresholds, high: defaultThresholds },
      outlierDetection: undefined,
      healthCheck: undefined,
      tls: undefined,
      tlsMatches: [],
      http: {
        protocol: 'http1',
        idleTimeoutMs: undefined,
        maxConnectionDurationMs: undefined,
        maxRequestsPerConnection: undefined,
      },
      destination: { service: name, version: '' },
      loadReporting: undefined,
      ...config,
    },
  }
}

export function makeAssignment(name: string, localities: readonly Partial<LocalityLbEndpoints>[]): ClusterLoadAssignment {
  return {
    name,
    localities: localities.map(each => ({
      locality: { region: '', zone: '', subZone: '' },
      priority: 0,
      weight: undefined,
      endpoints: [],
      ...each,
    })),
    dropOverloads: [],
    overprovisioningFactor: 140,
  }
}

export function makeEndpoint(endpoint: string | Partial<LbEndpoint>): LbEndpoint {
  const given = typeof endpoint === 'string' ? parse(endpoint) : endpoint
  return {
    address: '127.0.0.1',
    port: 80,
    additionalAddresses: [],
    hostname: '',
    health: 'unknown',
    weight: 1,
    metadata: undefined,
    transportSocketMatch: undefined,
    healthCheck: undefined,
    ...given,
  }
}

/** Envoy's defaults; change what the test is about. */
export function makeOutlierDetection(config: Partial<OutlierDetectionConfig> = {}): OutlierDetectionConfig {
  return {
    consecutive5xx: 5,
    enforcingConsecutive5xx: 100,
    consecutiveGatewayFailure: 5,
    enforcingConsecutiveGatewayFailure: 0,
    splitExternalLocalOriginErrors: false,
    consecutiveLocalOriginFailure: 5,
    enforcingConsecutiveLocalOriginFailure: 100,
    successRateMinimumHosts: 5,
    successRateRequestVolume: 100,
    successRateStdevFactor: 1900,
    enforcingSuccessRate: 100,
    failurePercentageThreshold: 85,
    failurePercentageMinimumHosts: 5,
    failurePercentageRequestVolume: 50,
    enforcingFailurePercentage: 0,
    intervalMs: 10_000,
    baseEjectionTimeMs: 30_000,
    maxEjectionTimeMs: 300_000,
    maxEjectionTimeJitterMs: 0,
    maxEjectionPercent: 10,
    alwaysEjectOneHost: false,
    ...config,
  }
}

/** Retries on 5xx, resets and failed connects, at once; change what the test is about. */
export function makeRetryPolicy(policy: Partial<RetryPolicy> = {}): RetryPolicy {
  return {
    retryOn: ['5xx'],
    numRetries: 2,
    perTryTimeoutMs: undefined,
    perTryIdleTimeoutMs: undefined,
    retriableStatusCodes: [],
    retriableHeaders: [],
    retriableRequestHeaders: [],
    backOff: { baseIntervalMs: 1, maxIntervalMs: 1 },
    rateLimitedBackOff: undefined,
    avoidPreviousHosts: false,
    hostSelectionMaxAttempts: 1,
    ...policy,
  }
}

function parse(address: string): { readonly address: string; readonly port: number } {
  const at = address.lastIndexOf(':')
  return { address: address.slice(0, at), port: Number(address.slice(at + 1)) }
}
