import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  type LbEndpoint,
  LbEndpointSchema,
  type LocalityLbEndpointsSchema,
} from 'inmesh/gen/envoy/config/endpoint/v3/endpoint_components_pb'
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from 'inmesh/gen/envoy/config/endpoint/v3/endpoint_pb'
import type { MeshEndpoint } from '../model/mesh-service.ts'
import { compareText } from '../model/object-meta.ts'
import { type LocalityGroup, type LocalityPlan, planLocalities } from './locality-plan.ts'
import { mutualTlsMode, tlsModeLabel } from './mutual-tls.ts'

/** The assignment of a cluster: the endpoints that serve the port, once each, grouped by locality in a fixed order. */
export function assignment(
  clusterName: string,
  endpoints: readonly MeshEndpoint[],
  port: number,
  plan?: LocalityPlan,
  takesMutualTls: (endpoint: MeshEndpoint) => boolean = () => false,
): ClusterLoadAssignment {
  const groups = planLocalities(groupByLocality(endpoints, port), plan)
  return create(ClusterLoadAssignmentSchema, {
    clusterName,
    endpoints: groups.map(group => translateGroup(group, port, takesMutualTls)),
  })
}

function groupByLocality(endpoints: readonly MeshEndpoint[], port: number): readonly LocalityGroup[] {
  const groups = new Map<string, MeshEndpoint[]>()
  const seen = new Set<string>()
  for (const endpoint of endpoints) {
    const target = endpoint.ports.get(port)
    // A client refuses an assignment that names an address twice.
    const address = `${endpoint.address} ${target}`
    if (target === undefined || seen.has(address)) continue
    seen.add(address)
    const { region, zone, subZone } = endpoint.locality
    const key = `${region}/${zone}/${subZone}`
    const group = groups.get(key)
    if (group) group.push(endpoint)
    else groups.set(key, [endpoint])
  }
  const sorted = [...groups].sort(([a], [b]) => compareText(a, b))
  return sorted.flatMap(([, members]) => {
    const [first] = members
    return first ? [{ locality: first.locality, endpoints: members, priority: 0, weight: weightOf(members) }] : []
  })
}

/** Sum of the weights, as gRPC wants it: it leaves out a locality without weight. */
const weightOf = (endpoints: readonly MeshEndpoint[]) => endpoints.reduce((sum, { weight }) => sum + weight, 0)

function translateGroup(
  { locality, endpoints, priority, weight }: LocalityGroup,
  port: number,
  takesMutualTls: (endpoint: MeshEndpoint) => boolean,
): MessageInitShape<typeof LocalityLbEndpointsSchema> {
  return {
    locality: { region: locality.region, zone: locality.zone, subZone: locality.subZone },
    lbEndpoints: endpoints.map(endpoint => translateEndpoint(endpoint, port, takesMutualTls(endpoint))),
    loadBalancingWeight: weight,
    priority,
  }
}

/** By port of the service, negative for mutual TLS: an endpoint is translated once for all its clusters and all revisions. */
const translated = new WeakMap<MeshEndpoint, Map<number, LbEndpoint>>()

function translateEndpoint(endpoint: MeshEndpoint, port: number, isMutual: boolean): LbEndpoint {
  const key = isMutual ? -port : port
  let byPort = translated.get(endpoint)
  if (!byPort) {
    byPort = new Map()
    translated.set(endpoint, byPort)
  }
  let message = byPort.get(key)
  if (!message) {
    message = createEndpoint(endpoint, port, isMutual)
    byPort.set(key, message)
  }
  return message
}

function createEndpoint({ address, ports, labels, weight }: MeshEndpoint, port: number, isMutual: boolean): LbEndpoint {
  const { version } = labels
  const filterMetadata = {
    ...(version ? { 'envoy.lb': { version } } : {}),
    ...(isMutual ? { 'envoy.transport_socket_match': { [tlsModeLabel]: mutualTlsMode } } : {}),
  }
  return create(LbEndpointSchema, {
    hostIdentifier: {
      case: 'endpoint',
      value: {
        address: {
          address: {
            case: 'socketAddress',
            value: { address, portSpecifier: { case: 'portValue', value: ports.get(port) ?? port } },
          },
        },
      },
    },
    loadBalancingWeight: weight,
    ...(Object.keys(filterMetadata).length > 0 ? { metadata: { filterMetadata } } : {}),
  })
}
