import { create, type JsonObject, type MessageInitShape } from '@bufbuild/protobuf'
import { durationFromMs } from '@bufbuild/protobuf/wkt'
import {
  type CircuitBreakers_Thresholds,
  CircuitBreakers_ThresholdsSchema,
} from 'inmesh/gen/envoy/config/cluster/v3/circuit_breaker_pb'
import {
  type Cluster,
  ClusterSchema,
  Cluster_DiscoveryType as DiscoveryType,
  Cluster_DnsLookupFamily as DnsLookupFamily,
} from 'inmesh/gen/envoy/config/cluster/v3/cluster_pb'
import {
  type OutlierDetection as OutlierDetectionMessage,
  OutlierDetectionSchema,
} from 'inmesh/gen/envoy/config/cluster/v3/outlier_detection_pb'
import { type Metadata, MetadataSchema } from 'inmesh/gen/envoy/config/core/v3/base_pb'
import type { OutlierDetection } from '../model/destination-rule.ts'
import type { MeshEndpoint, MeshPort, MeshService } from '../model/mesh-service.ts'
import { assignment } from './assignment.ts'
import { clusterName } from './cluster-name.ts'
import { ads, self } from './config-source.ts'
import { httpProtocolOptions } from './http-protocol-options.ts'
import { loadBalancing } from './load-balancing.ts'
import type { LocalityPlan } from './locality-plan.ts'
import type { ClusterPolicy } from './traffic-policies.ts'
import { automaticSockets, automaticTls, transportSocket } from './transport-socket.ts'
import type { View } from './view.ts'

/** Istio's defaults. */
const connectTimeoutMs = 10_000
const dnsRefreshMs = 60_000
const unlimited = 0xffff_ffff

/** What clients report of the load that they send. */
export interface LoadReporting {
  /** Metrics of the endpoints' own that are passed on: `lrs_report_endpoint_metrics`, as `named_metrics.*`. */
  readonly endpointMetrics: readonly string[]
}

/** What a cluster is made of. */
export interface ClusterInput {
  readonly service: MeshService
  readonly port: MeshPort
  /** Empty for all endpoints. */
  readonly subset: string
  readonly policy: ClusterPolicy
  /** Those of the subset; only a service that is looked up has them in its cluster. */
  readonly endpoints: readonly MeshEndpoint[]
  /** Which localities the caller prefers among them. */
  readonly plan: LocalityPlan
  /** `undefined`: its load is not reported. */
  readonly loadReporting: LoadReporting | undefined
}

/** Translates one port of a service, or a subset of it. `undefined` where there is nothing to look up. */
export function translateCluster(input: ClusterInput, view: View, trustDomain: string): Cluster | undefined {
  const { service, port, subset, policy, loadReporting } = input
  const name = clusterName(port.number, subset, service.host)
  const discovery = discover(input, name)
  if (!discovery) return undefined
  const pool = policy.connectionPool
  const keepalive = pool?.tcpKeepalive
  const protocolOptions = httpProtocolOptions(port.protocol, pool, automaticTls(policy.tls, service))
  const socket = transportSocket(policy.tls, service, port, view, trustDomain)
  const matches = policy.tls ? [] : automaticSockets(service, port, view, trustDomain)
  return create(ClusterSchema, {
    name,
    ...discovery,
    ...loadBalancing(policy, view),
    connectTimeout: durationFromMs(pool?.connectTimeoutMs ?? connectTimeoutMs),
    circuitBreakers: { thresholds: [thresholds(policy)] },
    ...(policy.outlierDetection ? { outlierDetection: outlierDetection(policy.outlierDetection) } : {}),
    ...(socket ? { transportSocket: socket } : {}),
    ...(matches.length > 0 ? { transportSocketMatches: [...matches] } : {}),
    ...(keepalive
      ? {
          upstreamConnectionOptions: {
            tcpKeepalive: {
              ...(keepalive.probes === undefined ? {} : { keepaliveProbes: keepalive.probes }),
              ...(keepalive.timeMs === undefined ? {} : { keepaliveTime: Math.ceil(keepalive.timeMs / 1000) }),
              ...(keepalive.intervalMs === undefined ? {} : { keepaliveInterval: Math.ceil(keepalive.intervalMs / 1000) }),
            },
          },
        }
      : {}),
    ...(protocolOptions ? { typedExtensionProtocolOptions: protocolOptions } : {}),
    ...(loadReporting ? { lrsServer: self, lrsReportEndpointMetrics: [...loadReporting.endpointMetrics] } : {}),
    metadata: metadata(service, subset),
  })
}

type ClusterDiscovery = Pick<
  MessageInitShape<typeof ClusterSchema>,
  'clusterDiscoveryType' | 'edsClusterConfig' | 'dnsLookupFamily' | 'dnsRefreshRate' | 'respectDnsTtl' | 'loadAssignment'
>

function discover({ service, endpoints, port, plan }: ClusterInput, name: string): ClusterDiscovery | undefined {
  if (service.resolution === 'listed')
    return {
      clusterDiscoveryType: { case: 'type', value: DiscoveryType.EDS },
      edsClusterConfig: { edsConfig: ads, serviceName: name },
    }
  // Nobody can look a wildcard up.
  if (service.host.startsWith('*') && endpoints.every(({ address }) => address.startsWith('*'))) return undefined
  const isStrict = service.resolution === 'dns'
  // Logical DNS takes exactly one name.
  const looked = isStrict ? endpoints : endpoints.slice(0, 1)
  if (!isStrict && looked.length === 0) return undefined
  return {
    clusterDiscoveryType: { case: 'type', value: isStrict ? DiscoveryType.STRICT_DNS : DiscoveryType.LOGICAL_DNS },
    dnsLookupFamily: DnsLookupFamily.V4_PREFERRED,
    dnsRefreshRate: durationFromMs(dnsRefreshMs),
    respectDnsTtl: true,
    loadAssignment: assignment(name, looked, port.number, isStrict ? plan : undefined),
  }
}

function thresholds({ connectionPool: pool, retryBudget }: ClusterPolicy): CircuitBreakers_Thresholds {
  return create(CircuitBreakers_ThresholdsSchema, {
    maxConnections: pool?.maxConnections || unlimited,
    maxPendingRequests: pool?.http1MaxPendingRequests || unlimited,
    maxRequests: pool?.http2MaxRequests || unlimited,
    maxRetries: pool?.maxRetries || unlimited,
    trackRemaining: true,
    ...(retryBudget
      ? {
          retryBudget: {
            budgetPercent: { value: retryBudget.percent },
            ...(retryBudget.minRetryConcurrency === undefined ? {} : { minRetryConcurrency: retryBudget.minRetryConcurrency }),
          },
        }
      : {}),
  })
}

/** What is not said keeps Envoy's default; the success rate never ejects, as in Istio. */
function outlierDetection(rule: OutlierDetection): OutlierDetectionMessage {
  const { consecutive5xxErrors: any5xx, consecutiveGatewayErrors: gateway, consecutiveLocalOriginFailures: local } = rule
  const split = rule.splitExternalLocalOriginErrors
  return create(OutlierDetectionSchema, {
    enforcingSuccessRate: 0,
    ...(any5xx === undefined ? {} : { consecutive5xx: any5xx, enforcingConsecutive5xx: any5xx > 0 ? 100 : 0 }),
    ...(gateway === undefined
      ? {}
      : { consecutiveGatewayFailure: gateway, enforcingConsecutiveGatewayFailure: gateway > 0 ? 100 : 0 }),
    ...(rule.intervalMs === undefined ? {} : { interval: durationFromMs(rule.intervalMs) }),
    ...(rule.baseEjectionTimeMs === undefined ? {} : { baseEjectionTime: durationFromMs(rule.baseEjectionTimeMs) }),
    ...(rule.maxEjectionPercent > 0 ? { maxEjectionPercent: rule.maxEjectionPercent } : {}),
    ...(split ? { splitExternalLocalOriginErrors: true, enforcingLocalOriginSuccessRate: 0 } : {}),
    ...(split && local ? { consecutiveLocalOriginFailure: local, enforcingConsecutiveLocalOriginFailure: 100 } : {}),
  })
}

/** By which telemetry names the service and the subset. */
function metadata({ host, name, namespace, external }: MeshService, subset: string): Metadata {
  const istio: JsonObject = { services: [{ host, name, namespace }] }
  if (subset !== '') istio.subset = subset
  if (external) istio.external = true
  return create(MetadataSchema, { filterMetadata: { istio } })
}
