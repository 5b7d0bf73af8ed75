import type { Address } from '../gen/envoy/config/core/v3/address_pb.ts'
import type { Metadata } from '../gen/envoy/config/core/v3/base_pb.ts'
import type {
  Endpoint_HealthCheckConfig as HealthCheckConfigMessage,
  LbEndpoint as LbEndpointMessage,
} from '../gen/envoy/config/endpoint/v3/endpoint_components_pb.ts'
import type {
  ClusterLoadAssignment as ClusterLoadAssignmentMessage,
  ClusterLoadAssignment_Policy as PolicyMessage,
} from '../gen/envoy/config/endpoint/v3/endpoint_pb.ts'
import type { ClusterLoadAssignment, EndpointHealthCheck, HealthStatus, LbEndpoint } from '../model/endpoint.ts'
import { setOwn } from '../protobuf/field-codec.ts'
import { AssignmentBuilder } from './assignment-builder.ts'
import { decodeFractionalPercent } from './percent.ts'
import type { Problems } from './problems.ts'

/** `envoy.config.core.v3.HealthStatus` by number. One that is not known is `unknown`. */
export const healthStatuses: readonly HealthStatus[] = ['unknown', 'healthy', 'unhealthy', 'draining', 'timeout', 'degraded']

/** `policy.overprovisioning_factor` of an assignment without one. */
export const defaultOverprovisioningFactor = 140

/** The endpoint without any. */
export const noAddresses: LbEndpoint['additionalAddresses'] = []

/**
 * Decodes `envoy.config.endpoint.v3.ClusterLoadAssignment` from its generated type: an assignment inside a cluster or a file, and
 * the rare forms that {@link readClusterLoadAssignment} leaves to it.
 *
 * @param clusterName used when the message has no name of its own, as inside a cluster
 */
export function decodeClusterLoadAssignment(
  message: ClusterLoadAssignmentMessage,
  problems: Problems,
  clusterName = '',
): ClusterLoadAssignment {
  const builder = new AssignmentBuilder(problems)
  for (const group of message.endpoints) {
    const at = problems.at('endpoints', builder.localityIndex)
    if (group.lbConfig.case === 'ledsClusterLocalityConfig') at.addAt('leds_cluster_locality_config', 'is not supported')
    if (group.lbConfig.case === 'loadBalancerEndpoints') at.addAt('load_balancer_endpoints', 'is not supported')
    const endpoints = group.lbEndpoints.map((endpoint, index) => {
      const decoded = decodeEndpoint(endpoint, message, at.at('lb_endpoints', index))
      builder.checkEndpoint(decoded, index)
      return decoded
    })
    const { region = '', zone = '', subZone = '' } = group.locality ?? {}
    builder.addLocality({ region, zone, subZone }, group.priority, group.loadBalancingWeight, endpoints)
  }
  return builder.finish(
    message.clusterName === '' ? problems.required('cluster_name', clusterName) : message.clusterName,
    decodeDropOverloads(message.policy, problems.at('policy')),
    message.policy?.overprovisioningFactor ?? defaultOverprovisioningFactor,
  )
}

/** Decodes `policy.drop_overloads` into chances. */
export function decodeDropOverloads(
  policy: PolicyMessage | undefined,
  problems: Problems,
): ClusterLoadAssignment['dropOverloads'] {
  if (policy === undefined) return []
  return policy.dropOverloads.map(({ category, dropPercentage }, index) => {
    const at = problems.at('drop_overloads', index)
    const { numerator, denominator } = decodeFractionalPercent(dropPercentage, at.at('drop_percentage'))
    // More than all is all (gRFC A27).
    return { category: at.required('category', category), probability: Math.min(1, numerator / denominator) }
  })
}

function decodeEndpoint(message: LbEndpointMessage, assignment: ClusterLoadAssignmentMessage, problems: Problems): LbEndpoint {
  const { hostIdentifier } = message
  const endpoint = hostIdentifier.case === 'endpointName' ? assignment.namedEndpoints[hostIdentifier.value] : hostIdentifier.value
  const at = problems.at('endpoint')
  const { address, port } = decodeAddress(endpoint?.address, at)
  const additional = endpoint?.additionalAddresses ?? []
  return {
    address,
    port,
    additionalAddresses:
      additional.length === 0
        ? noAddresses
        : additional.map((each, index) => decodeAddress(each.address, at.at('additional_addresses', index))),
    hostname: endpoint?.hostname ?? '',
    health: healthStatuses[message.healthStatus] ?? 'unknown',
    weight: message.loadBalancingWeight ?? 1,
    metadata: decodeMetadata(message.metadata, 'envoy.lb'),
    transportSocketMatch: decodeMetadata(message.metadata, 'envoy.transport_socket_match'),
    healthCheck: decodeHealthCheck(endpoint?.healthCheckConfig, at.at('health_check_config')),
  }
}

/** The model of a `health_check_config`; `undefined` when it says nothing. */
export function endpointHealthCheck(
  address: string,
  port: number,
  hostname: string,
  isDisabled: boolean,
): EndpointHealthCheck | undefined {
  return address === '' && port === 0 && hostname === '' && !isDisabled ? undefined : { address, port, hostname, isDisabled }
}

function decodeHealthCheck(message: HealthCheckConfigMessage | undefined, problems: Problems): EndpointHealthCheck | undefined {
  if (message === undefined) return undefined
  const { hostname, disableActiveHealthCheck } = message
  const { address, port } = decodeAddress(message.address, problems)
  if (message.address?.address.case === 'pipe') problems.addAt('address.pipe', 'is not supported')
  return endpointHealthCheck(address, message.portValue === 0 ? port : message.portValue, hostname, disableActiveHealthCheck)
}

function decodeAddress(message: Address | undefined, problems: Problems): { readonly address: string; readonly port: number } {
  const specifier = message?.address
  if (specifier?.case === 'pipe') return { address: specifier.value.path, port: 0 }
  if (specifier?.case === 'envoyInternalAddress') problems.addAt('address.envoy_internal_address', 'is not supported')
  if (specifier?.case !== 'socketAddress') return { address: '', port: 0 }
  const { protocol, address, portSpecifier } = specifier.value
  const at = problems.at('address.socket_address')
  if (protocol !== 0) at.addAt('protocol', 'must be TCP')
  if (portSpecifier.case === 'namedPort') at.addAt('named_port', 'is not supported')
  return { address, port: portSpecifier.case === 'portValue' ? portSpecifier.value : 0 }
}

function decodeMetadata(message: Metadata | undefined, namespace: string): LbEndpoint['metadata'] {
  const fields = message?.filterMetadata[namespace]
  if (fields === undefined) return undefined
  const strings: Record<string, string> = {}
  let any = false
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value !== 'string') continue
    setOwn(strings, name, value)
    any = true
  }
  return any ? strings : undefined
}
