import type { DescMessage } from '@bufbuild/protobuf'
import { ClusterSchema } from 'inmesh/gen/envoy/config/cluster/v3/cluster_pb'
import { ClusterLoadAssignmentSchema } from 'inmesh/gen/envoy/config/endpoint/v3/endpoint_pb'
import { ListenerSchema } from 'inmesh/gen/envoy/config/listener/v3/listener_pb'
import { RouteConfigurationSchema } from 'inmesh/gen/envoy/config/route/v3/route_pb'
import { SecretSchema } from 'inmesh/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb'

const prefix = 'type.googleapis.com/'

/** Type URL of `envoy.config.cluster.v3.Cluster`. */
export const clusterType = `${prefix}${ClusterSchema.typeName}`
/** Type URL of `envoy.config.endpoint.v3.ClusterLoadAssignment`. */
export const endpointType = `${prefix}${ClusterLoadAssignmentSchema.typeName}`
/** Type URL of `envoy.config.listener.v3.Listener`. */
export const listenerType = `${prefix}${ListenerSchema.typeName}`
/** Type URL of `envoy.config.route.v3.RouteConfiguration`. */
export const routeType = `${prefix}${RouteConfigurationSchema.typeName}`

/** Type URL of `envoy.extensions.transport_sockets.tls.v3.Secret`. */
export const secretType = `${prefix}${SecretSchema.typeName}`

/** The schema of each type this server can encode. */
export const resourceSchemas: ReadonlyMap<string, DescMessage> = new Map<string, DescMessage>([
  [clusterType, ClusterSchema],
  [endpointType, ClusterLoadAssignmentSchema],
  [listenerType, ListenerSchema],
  [routeType, RouteConfigurationSchema],
  [secretType, SecretSchema],
])

const order = [clusterType, endpointType, listenerType, routeType]

/** Position in the make-before-break order CDS, EDS, LDS, RDS; unknown types come last. xDS "Eventual consistency considerations". */
export function pushOrder(typeUrl: string): number {
  const at = order.indexOf(typeUrl)
  return at < 0 ? order.length : at
}

/** Whether each SotW response of the type holds the whole subscribed set, so that absence means deletion. xDS "Grouping resources". */
export function isFullState(typeUrl: string): boolean {
  return typeUrl === clusterType || typeUrl === listenerType
}

/** Whether a change of this type leads traffic to clusters, and must wait until the client has those clusters. */
export function refersToClusters(typeUrl: string): boolean {
  return typeUrl === listenerType || typeUrl === routeType
}

/** Whether a removal of this type waits until nothing at the client refers to the resource. */
export function leavesLast(typeUrl: string): boolean {
  return typeUrl === clusterType || typeUrl === endpointType || typeUrl === routeType
}
