import { parseEndpointMetrics } from '../../policies/endpoint-metrics.ts'
import type { Cluster } from '../gen/envoy/config/cluster/v3/cluster_pb.ts'
import { Cluster_DiscoveryType, Cluster_DiscoveryType as DiscoveryType } from '../gen/tables.ts'
import { aggregateClusterConfigType } from '../message-types.ts'
import type { ClusterConfig, ClusterDiscovery } from '../model/cluster.ts'
import type { ClusterLoadAssignment } from '../model/endpoint.ts'
import { readTypedConfig } from './any.ts'
import { decodeCircuitBreakers } from './circuit-breakers.ts'
import { decodeClusterLoadAssignment, defaultOverprovisioningFactor, healthStatuses } from './cluster-load-assignment.ts'
import { decodeDestination } from './destination.ts'
import { optionalDurationMs } from './duration.ts'
import { enumName } from './enum-name.ts'
import { decodeHealthChecks } from './health-check.ts'
import { decodeUpstreamHttp } from './http-protocol-options.ts'
import { decodeLoadBalancing } from './load-balancing.ts'
import { decodeOutlierDetection } from './outlier-detection.ts'
import type { Problems } from './problems.ts'
import { decodeUpstreamTransport } from './upstream-tls.ts'

const defaultConnectTimeoutMs = 5000
const defaultOverrideHostStatuses: ClusterConfig['overrideHostStatuses'] = ['unknown', 'healthy', 'degraded']
const defaultRefreshRateMs = 5000

/** Decodes `envoy.config.cluster.v3.Cluster`. */
export function decodeCluster(message: Cluster, problems: Problems): ClusterConfig {
  problems.required('name', message.name)
  const { http, automaticTls } = decodeUpstreamHttp(message, problems)
  const { tls, matches } = decodeUpstreamTransport(message, automaticTls, problems)
  return {
    name: message.name,
    discovery: decodeDiscovery(message, problems),
    ...decodeLoadBalancing(message, problems),
    overrideHostStatuses:
      message.commonLbConfig?.overrideHostStatus?.statuses.map(status => healthStatuses[status] ?? 'unknown') ??
      defaultOverrideHostStatuses,
    connectTimeoutMs:
      optionalDurationMs(message.connectTimeout, 'positive', problems, 'connect_timeout') ?? defaultConnectTimeoutMs,
    circuitBreakers: decodeCircuitBreakers(message.circuitBreakers, problems.at('circuit_breakers')),
    outlierDetection:
      message.outlierDetection === undefined
        ? undefined
        : decodeOutlierDetection(message.outlierDetection, problems.at('outlier_detection')),
    healthCheck: decodeHealthChecks(message, problems),
    tls,
    tlsMatches: matches,
    http,
    destination: decodeDestination(message),
    loadReporting: decodeLoadReporting(message, problems),
  }
}

/** Load goes to the server that the cluster came from or nowhere (gRFC A27). */
function decodeLoadReporting(
  { lrsServer, lrsReportEndpointMetrics }: Cluster,
  problems: Problems,
): ClusterConfig['loadReporting'] {
  if (lrsServer === undefined) return undefined
  const source = lrsServer.configSourceSpecifier.case
  if (source !== 'self') problems.addAt('lrs_server', `must be self, got ${source ?? 'nothing'}`)
  return { metrics: parseEndpointMetrics(lrsReportEndpointMetrics) }
}

function decodeDiscovery(message: Cluster, problems: Problems): ClusterDiscovery {
  const { clusterDiscoveryType } = message
  if (clusterDiscoveryType.case === 'clusterType') return decodeAggregate(message, problems)
  switch (clusterDiscoveryType.value ?? DiscoveryType.STATIC) {
    case DiscoveryType.EDS:
      return decodeEds(message, problems)
    case DiscoveryType.STATIC:
      // Without an assignment it has no endpoints, like Istio's BlackHoleCluster.
      return { kind: 'static', assignment: message.loadAssignment ? decodeAssignment(message, problems) : noAssignment(message) }
    case DiscoveryType.STRICT_DNS:
    case DiscoveryType.LOGICAL_DNS:
      return decodeDns(message, problems)
  }
  const type = enumName(Cluster_DiscoveryType, clusterDiscoveryType.value)
  problems.addAt('type', `must be EDS, STATIC, STRICT_DNS or LOGICAL_DNS, got ${type}`)
  return { kind: 'eds', edsServiceName: message.name }
}

function decodeEds(message: Cluster, problems: Problems): ClusterDiscovery {
  const at = problems.at('eds_cluster_config')
  const config = message.edsClusterConfig
  const source = config?.edsConfig?.configSourceSpecifier.case
  if (source !== 'ads' && source !== 'self') at.addAt('eds_config', `must be ads or self, got ${source ?? 'nothing'}`)
  const serviceName = config?.serviceName ?? ''
  if (serviceName === '' && message.name.startsWith('xdstp:'))
    at.addAt('service_name', 'is required for a cluster with an xdstp: name')
  return { kind: 'eds', edsServiceName: serviceName === '' ? message.name : serviceName }
}

function decodeDns(message: Cluster, problems: Problems): ClusterDiscovery {
  const assignment = decodeAssignment(message, problems)
  const logical = message.clusterDiscoveryType.value === DiscoveryType.LOGICAL_DNS
  const count = assignment.localities.reduce((sum, locality) => sum + locality.endpoints.length, 0)
  if (logical && (assignment.localities.length !== 1 || count !== 1))
    problems.addAt('load_assignment', `of a LOGICAL_DNS cluster must hold one locality with one endpoint, got ${count} endpoints`)
  if (namesResolver(message)) problems.addAt('load_assignment', 'must not have a resolver_name: the system resolves')
  // Without a port it would be the path of a Unix socket.
  if (assignment.localities.some(({ endpoints }) => endpoints.some(({ port }) => port === 0)))
    problems.addAt('load_assignment', 'must name a host and a port for each endpoint')
  const refreshRateMs = optionalDurationMs(message.dnsRefreshRate, 'positive', problems, 'dns_refresh_rate')
  return { kind: logical ? 'logical-dns' : 'strict-dns', assignment, refreshRateMs: refreshRateMs ?? defaultRefreshRateMs }
}

function namesResolver({ loadAssignment }: Cluster): boolean {
  const endpoints = loadAssignment?.endpoints.flatMap(({ lbEndpoints }) => lbEndpoints) ?? []
  return endpoints.some(({ hostIdentifier }) => {
    const address = hostIdentifier.case === 'endpoint' ? hostIdentifier.value.address?.address : undefined
    return address?.case === 'socketAddress' && address.value.resolverName !== ''
  })
}

function decodeAssignment(message: Cluster, problems: Problems): ClusterLoadAssignment {
  if (message.loadAssignment !== undefined)
    return decodeClusterLoadAssignment(message.loadAssignment, problems.at('load_assignment'), message.name)
  problems.addAt('load_assignment', 'is required')
  return noAssignment(message)
}

function noAssignment({ name }: Cluster): ClusterLoadAssignment {
  return { name, localities: [], dropOverloads: [], overprovisioningFactor: defaultOverprovisioningFactor }
}

function decodeAggregate({ clusterDiscoveryType }: Cluster, problems: Problems): ClusterDiscovery {
  const at = problems.at('cluster_type')
  const none: ClusterDiscovery = { kind: 'aggregate', clusters: [] }
  if (clusterDiscoveryType.case !== 'clusterType') return none
  const typed = readTypedConfig(clusterDiscoveryType.value.typedConfig)
  if (typed.type !== aggregateClusterConfigType.typeName) {
    at.add(`"${typed.type === '' ? clusterDiscoveryType.value.name : typed.type}" is not supported`)
    return none
  }
  const clusters = typed.as(aggregateClusterConfigType, at)?.clusters ?? []
  if (clusters.length === 0) at.addAt('clusters', 'must not be empty')
  return { kind: 'aggregate', clusters }
}
