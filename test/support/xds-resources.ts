import { create, toBinary } from '@bufbuild/protobuf'
import { anyPack } from '@bufbuild/protobuf/wkt'
import type { WireResource } from '../../src/discovery/discovery-message.ts'
import { type Cluster, ClusterSchema } from '../../src/discovery/gen/envoy/config/cluster/v3/cluster_pb.ts'
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
} from '../../src/discovery/gen/envoy/config/endpoint/v3/endpoint_pb.ts'
import { type Listener, ListenerSchema } from '../../src/discovery/gen/envoy/config/listener/v3/listener_pb.ts'
import { type RouteConfiguration, RouteConfigurationSchema } from '../../src/discovery/gen/envoy/config/route/v3/route_pb.ts'
import { ExtAuthzSchema } from '../../src/discovery/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.ts'
import { RouterSchema } from '../../src/discovery/gen/envoy/extensions/filters/http/router/v3/router_pb.ts'
import { HttpConnectionManagerSchema } from '../../src/discovery/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts'
import { typeUrls } from '../../src/discovery/resource-type.ts'

/** The four messages of a control plane. Tests begin with a default and change one field. */
export type XdsMessage = Listener | RouteConfiguration | Cluster | ClusterLoadAssignment

const router = {
  name: 'router',
  configType: { case: 'typedConfig', value: anyPack(RouterSchema, create(RouterSchema)) },
} as const

/** A listener that names its routes, by default after itself. */
export function listenerMessage(name: string, routeConfigName = name, statPrefix = ''): Listener {
  const manager = create(HttpConnectionManagerSchema, {
    statPrefix,
    routeSpecifier: {
      case: 'rds',
      value: { routeConfigName, configSource: { configSourceSpecifier: { case: 'ads', value: {} } } },
    },
    httpFilters: [router],
  })
  return create(ListenerSchema, { name, apiListener: { apiListener: anyPack(HttpConnectionManagerSchema, manager) } })
}

/** A listener of a server whose every request an authorizer decides about, over gRPC. */
export function serverMessage(name: string, cluster: string): Listener {
  const extAuthz = create(ExtAuthzSchema, {
    services: { case: 'grpcService', value: { targetSpecifier: { case: 'envoyGrpc', value: { clusterName: cluster } } } },
  })
  const manager = create(HttpConnectionManagerSchema, {
    routeSpecifier: { case: 'routeConfig', value: { name } },
    httpFilters: [{ name: 'ext_authz', configType: { case: 'typedConfig', value: anyPack(ExtAuthzSchema, extAuthz) } }, router],
  })
  const filter = {
    name: 'hcm',
    configType: { case: 'typedConfig', value: anyPack(HttpConnectionManagerSchema, manager) },
  } as const
  const socket = { address: '0.0.0.0', portSpecifier: { case: 'portValue', value: 80 } } as const
  return create(ListenerSchema, {
    name,
    address: { address: { case: 'socketAddress', value: socket } },
    filterChains: [{ filters: [filter] }],
  })
}

/** A route configuration that spreads every call evenly over `clusters`. */
export function routeMessage(name: string, ...clusters: readonly string[]): RouteConfiguration {
  return create(RouteConfigurationSchema, {
    name,
    virtualHosts: [
      {
        name: 'all',
        domains: ['*'],
        routes: [
          {
            match: { pathSpecifier: { case: 'prefix', value: '/' } },
            action: {
              case: 'route',
              value: {
                clusterSpecifier: {
                  case: 'weightedClusters',
                  value: { clusters: clusters.map(cluster => ({ name: cluster, weight: 1 })) },
                },
              },
            },
          },
        ],
      },
    ],
  })
}

/** An EDS cluster. */
export function clusterMessage(name: string, serviceName = ''): Cluster {
  return create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: 'type', value: 3 },
    edsClusterConfig: { serviceName, edsConfig: { configSourceSpecifier: { case: 'ads', value: {} } } },
  })
}

/** An assignment of one locality with an endpoint per `address:port`. */
export function assignmentMessage(clusterName: string, ...addresses: readonly string[]): ClusterLoadAssignment {
  return create(ClusterLoadAssignmentSchema, {
    clusterName,
    endpoints: [
      {
        loadBalancingWeight: 1,
        locality: { region: 'r' },
        lbEndpoints: addresses.map(each => {
          const colon = each.lastIndexOf(':')
          const socket = {
            address: each.slice(0, colon),
            portSpecifier: { case: 'portValue', value: Number(each.slice(colon + 1)) },
          } as const
          return {
            hostIdentifier: { case: 'endpoint', value: { address: { address: { case: 'socketAddress', value: socket } } } },
          } as const
        }),
      },
    ],
  })
}

/** The four resources that lead from an authority to its endpoints. */
export function serviceMessages(name: string, ...addresses: readonly string[]): XdsMessage[] {
  return [listenerMessage(name), routeMessage(name, name), clusterMessage(name), assignmentMessage(name, ...addresses)]
}

/** The type URL, name and bytes of a message. */
export function wireResource(message: XdsMessage, version = '1'): WireResource {
  const parts = (typeUrl: string, bytes: Uint8Array, name: string) => ({ typeUrl, bytes, name, version })
  switch (message.$typeName) {
    case 'envoy.config.listener.v3.Listener':
      return parts(typeUrls.listener, toBinary(ListenerSchema, message), message.name)
    case 'envoy.config.route.v3.RouteConfiguration':
      return parts(typeUrls.routeConfiguration, toBinary(RouteConfigurationSchema, message), message.name)
    case 'envoy.config.cluster.v3.Cluster':
      return parts(typeUrls.cluster, toBinary(ClusterSchema, message), message.name)
    case 'envoy.config.endpoint.v3.ClusterLoadAssignment':
      return parts(typeUrls.clusterLoadAssignment, toBinary(ClusterLoadAssignmentSchema, message), message.clusterName)
  }
}
