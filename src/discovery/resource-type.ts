import type { ClusterConfig } from './model/cluster.ts'
import type { ClusterLoadAssignment } from './model/endpoint.ts'
import type { InboundListener } from './model/inbound-listener.ts'
import type { Listener } from './model/listener.ts'
import type { RouteConfiguration } from './model/route.ts'
import type { ResourceType } from './resources/decode.ts'

/** What each kind of resource is decoded into. */
export interface ResourceModels {
  readonly listener: Listener | InboundListener
  readonly routeConfiguration: RouteConfiguration
  readonly cluster: ClusterConfig
  readonly clusterLoadAssignment: ClusterLoadAssignment
}

/** One of the four kinds of resource that lead from an authority to its endpoints. */
export type ResourceKind = keyof ResourceModels

/** The decoders of all kinds. They are loaded when the first stream is opened: a process that starts from its cache needs none. */
export type ResourceTypes = { readonly [K in ResourceKind]: ResourceType<ResourceModels[K]> }

/** The type URL of each kind, in the order in which one leads to the next. */
export const typeUrls: Readonly<Record<ResourceKind, string>> = {
  listener: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  routeConfiguration: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  cluster: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  clusterLoadAssignment: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
}

/** Whether every SotW response holds all that is subscribed, so that what is missing does not exist (xDS "Grouping resources"). */
export const isFullState: Readonly<Record<ResourceKind, boolean>> = {
  listener: true,
  routeConfiguration: false,
  cluster: true,
  clusterLoadAssignment: false,
}
