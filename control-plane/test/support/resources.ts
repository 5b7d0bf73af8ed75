import { create, type Message, type MessageInitShape } from '@bufbuild/protobuf'
import { ClusterSchema } from 'inmesh/gen/envoy/config/cluster/v3/cluster_pb'
import type { LbEndpointSchema } from 'inmesh/gen/envoy/config/endpoint/v3/endpoint_components_pb'
import { ClusterLoadAssignmentSchema } from 'inmesh/gen/envoy/config/endpoint/v3/endpoint_pb'
import { ListenerSchema } from 'inmesh/gen/envoy/config/listener/v3/listener_pb'
import { RouteConfigurationSchema } from 'inmesh/gen/envoy/config/route/v3/route_pb'
import { clusterType, endpointType, listenerType, routeType } from '../../src/xds/resource-type.ts'
import { emptySnapshot, type Resources, type Snapshot, SnapshotEncoder } from '../../src/xds/snapshot.ts'

/** An EDS cluster; `marker` makes versions of it differ. */
export const cluster = (name: string, marker = '') =>
  create(ClusterSchema, {
    name,
    altStatName: marker,
    clusterDiscoveryType: { case: 'type', value: 3 },
    edsClusterConfig: { edsConfig: { configSourceSpecifier: { case: 'ads', value: {} } } },
  })

/** An assignment with one endpoint per address. */
export const assignment = (clusterName: string, ...addresses: readonly string[]) =>
  create(ClusterLoadAssignmentSchema, { clusterName, endpoints: [{ lbEndpoints: addresses.map(endpoint) }] })

const endpoint = (address: string): MessageInitShape<typeof LbEndpointSchema> => ({
  hostIdentifier: {
    case: 'endpoint',
    value: {
      address: { address: { case: 'socketAddress', value: { address, portSpecifier: { case: 'portValue', value: 80 } } } },
    },
  },
})

/** A listener; `marker` makes versions of it differ. */
export const listener = (name: string, marker = '') => create(ListenerSchema, { name, statPrefix: marker })

/** A route configuration that sends everything to one cluster. */
export const route = (name: string, target: string) =>
  create(RouteConfigurationSchema, {
    name,
    virtualHosts: [
      {
        name: 'all',
        domains: ['*'],
        routes: [
          {
            match: { pathSpecifier: { case: 'prefix', value: '/' } },
            action: { case: 'route', value: { clusterSpecifier: { case: 'cluster', value: target } } },
          },
        ],
      },
    ],
  })

/** Resources of the four types from lists. */
export function resourcesOf(lists: {
  clusters?: readonly ReturnType<typeof cluster>[]
  endpoints?: readonly ReturnType<typeof assignment>[]
  listeners?: readonly ReturnType<typeof listener>[]
  routes?: readonly ReturnType<typeof route>[]
}): Resources {
  return new Map<string, ReadonlyMap<string, Message>>([
    [clusterType, new Map(lists.clusters?.map(message => [message.name, message]))],
    [endpointType, new Map(lists.endpoints?.map(message => [message.clusterName, message]))],
    [listenerType, new Map(lists.listeners?.map(message => [message.name, message]))],
    [routeType, new Map(lists.routes?.map(message => [message.name, message]))],
  ])
}

/** A snapshot of {@link resourcesOf}. */
export function snapshotOf(lists: Parameters<typeof resourcesOf>[0], previous: Snapshot = emptySnapshot): Snapshot {
  return new SnapshotEncoder().encode('1', resourcesOf(lists), previous)
}
