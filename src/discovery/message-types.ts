// The messages that are read and written in every process, as `decodedTypes` lists them with what they are made of.
import type { CircuitBreakers, CircuitBreakers_Thresholds } from './gen/envoy/config/cluster/v3/circuit_breaker_pb.ts'
import type {
  Cluster,
  Cluster_CommonLbConfig,
  Cluster_CommonLbConfig_LocalityWeightedLbConfig,
} from './gen/envoy/config/cluster/v3/cluster_pb.ts'
import type { ClusterLoadAssignment, ClusterLoadAssignment_Policy } from './gen/envoy/config/endpoint/v3/endpoint_pb.ts'
import type { Listener } from './gen/envoy/config/listener/v3/listener_pb.ts'
import type { FilterConfig, VirtualHost } from './gen/envoy/config/route/v3/route_components_pb.ts'
import type { RouteConfiguration } from './gen/envoy/config/route/v3/route_pb.ts'
import type { ClusterConfig } from './gen/envoy/extensions/clusters/aggregate/v3/cluster_pb.ts'
import type { ExtAuthz, ExtAuthzPerRoute } from './gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.ts'
import type { HTTPFault } from './gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts'
import type { RBAC, RBACPerRoute } from './gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.ts'
import type { Router } from './gen/envoy/extensions/filters/http/router/v3/router_pb.ts'
import type { HttpConnectionManager } from './gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts'
import type { ClientSideWeightedRoundRobin } from './gen/envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3/client_side_weighted_round_robin_pb.ts'
import type { LeastRequest } from './gen/envoy/extensions/load_balancing_policies/least_request/v3/least_request_pb.ts'
import type { Maglev } from './gen/envoy/extensions/load_balancing_policies/maglev/v3/maglev_pb.ts'
import type { PickFirst } from './gen/envoy/extensions/load_balancing_policies/pick_first/v3/pick_first_pb.ts'
import type { Random } from './gen/envoy/extensions/load_balancing_policies/random/v3/random_pb.ts'
import type { RingHash } from './gen/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash_pb.ts'
import type { RoundRobin } from './gen/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin_pb.ts'
import type { WrrLocality } from './gen/envoy/extensions/load_balancing_policies/wrr_locality/v3/wrr_locality_pb.ts'
import type { UriTemplateMatchConfig } from './gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.ts'
import type { UriTemplateRewriteConfig } from './gen/envoy/extensions/path/rewrite/uri_template/v3/uri_template_rewrite_pb.ts'
import type { StdoutAuditLog } from './gen/envoy/extensions/rbac/audit_loggers/stream/v3/stream_pb.ts'
import type { DownstreamTlsContext, UpstreamTlsContext } from './gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts'
import type { HttpProtocolOptions } from './gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts'
import type {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
  DiscoveryRequest,
  DiscoveryResponse,
  Resource,
} from './gen/envoy/service/discovery/v3/discovery_pb.ts'
import type { LoadStatsRequest, LoadStatsResponse } from './gen/envoy/service/load_stats/v3/lrs_pb.ts'
import type { Percent } from './gen/envoy/type/v3/percent_pb.ts'
import type { TypedStruct as UdpaTypedStruct } from './gen/udpa/type/v1/typed_struct_pb.ts'
import type { TypedStruct } from './gen/xds/type/v3/typed_struct_pb.ts'
import { type MessageType, messageType } from './protobuf/message-type.ts'

export const clusterType: MessageType<Cluster> = messageType('envoy.config.cluster.v3.Cluster')
export const clusterCommonLbConfigType: MessageType<Cluster_CommonLbConfig> = messageType(
  'envoy.config.cluster.v3.Cluster.CommonLbConfig',
)
export const circuitBreakersType: MessageType<CircuitBreakers> = messageType('envoy.config.cluster.v3.CircuitBreakers')
export const circuitBreakersThresholdsType: MessageType<CircuitBreakers_Thresholds> = messageType(
  'envoy.config.cluster.v3.CircuitBreakers.Thresholds',
)
export const clusterLoadAssignmentType: MessageType<ClusterLoadAssignment> = messageType(
  'envoy.config.endpoint.v3.ClusterLoadAssignment',
)
export const clusterLoadAssignmentPolicyType: MessageType<ClusterLoadAssignment_Policy> = messageType(
  'envoy.config.endpoint.v3.ClusterLoadAssignment.Policy',
)
export const listenerType: MessageType<Listener> = messageType('envoy.config.listener.v3.Listener')
export const filterConfigType: MessageType<FilterConfig> = messageType('envoy.config.route.v3.FilterConfig')
export const routeConfigurationType: MessageType<RouteConfiguration> = messageType('envoy.config.route.v3.RouteConfiguration')
export const virtualHostType: MessageType<VirtualHost> = messageType('envoy.config.route.v3.VirtualHost')
export const aggregateClusterConfigType: MessageType<ClusterConfig> = messageType(
  'envoy.extensions.clusters.aggregate.v3.ClusterConfig',
)
export const extAuthzType: MessageType<ExtAuthz> = messageType('envoy.extensions.filters.http.ext_authz.v3.ExtAuthz')
export const extAuthzPerRouteType: MessageType<ExtAuthzPerRoute> = messageType(
  'envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute',
)
export const httpFaultType: MessageType<HTTPFault> = messageType('envoy.extensions.filters.http.fault.v3.HTTPFault')
export const rbacType: MessageType<RBAC> = messageType('envoy.extensions.filters.http.rbac.v3.RBAC')
export const rbacPerRouteType: MessageType<RBACPerRoute> = messageType('envoy.extensions.filters.http.rbac.v3.RBACPerRoute')
export const httpConnectionManagerType: MessageType<HttpConnectionManager> = messageType(
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
)
export const clientSideWeightedRoundRobinType: MessageType<ClientSideWeightedRoundRobin> = messageType(
  'envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin',
)
export const leastRequestType: MessageType<LeastRequest> = messageType(
  'envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest',
)
export const maglevType: MessageType<Maglev> = messageType('envoy.extensions.load_balancing_policies.maglev.v3.Maglev')
export const pickFirstType: MessageType<PickFirst> = messageType(
  'envoy.extensions.load_balancing_policies.pick_first.v3.PickFirst',
)
export const randomType: MessageType<Random> = messageType('envoy.extensions.load_balancing_policies.random.v3.Random')
export const ringHashType: MessageType<RingHash> = messageType('envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash')
export const roundRobinType: MessageType<RoundRobin> = messageType(
  'envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin',
)
export const wrrLocalityType: MessageType<WrrLocality> = messageType(
  'envoy.extensions.load_balancing_policies.wrr_locality.v3.WrrLocality',
)
export const uriTemplateMatchConfigType: MessageType<UriTemplateMatchConfig> = messageType(
  'envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig',
)
export const uriTemplateRewriteConfigType: MessageType<UriTemplateRewriteConfig> = messageType(
  'envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig',
)
export const downstreamTlsContextType: MessageType<DownstreamTlsContext> = messageType(
  'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
)
export const upstreamTlsContextType: MessageType<UpstreamTlsContext> = messageType(
  'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
)
export const httpProtocolOptionsType: MessageType<HttpProtocolOptions> = messageType(
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
)
export const deltaDiscoveryRequestType: MessageType<DeltaDiscoveryRequest> = messageType(
  'envoy.service.discovery.v3.DeltaDiscoveryRequest',
)
export const deltaDiscoveryResponseType: MessageType<DeltaDiscoveryResponse> = messageType(
  'envoy.service.discovery.v3.DeltaDiscoveryResponse',
)
export const discoveryRequestType: MessageType<DiscoveryRequest> = messageType('envoy.service.discovery.v3.DiscoveryRequest')
export const discoveryResponseType: MessageType<DiscoveryResponse> = messageType('envoy.service.discovery.v3.DiscoveryResponse')
export const resourceType: MessageType<Resource> = messageType('envoy.service.discovery.v3.Resource')
export const loadStatsRequestType: MessageType<LoadStatsRequest> = messageType('envoy.service.load_stats.v3.LoadStatsRequest')
export const loadStatsResponseType: MessageType<LoadStatsResponse> = messageType('envoy.service.load_stats.v3.LoadStatsResponse')
export const udpaTypedStructType: MessageType<UdpaTypedStruct> = messageType('udpa.type.v1.TypedStruct')
export const typedStructType: MessageType<TypedStruct> = messageType('xds.type.v3.TypedStruct')
export const localityWeightedLbConfigType: MessageType<Cluster_CommonLbConfig_LocalityWeightedLbConfig> = messageType(
  'envoy.config.cluster.v3.Cluster.CommonLbConfig.LocalityWeightedLbConfig',
)
export const percentType: MessageType<Percent> = messageType('envoy.type.v3.Percent')
export const routerType: MessageType<Router> = messageType('envoy.extensions.filters.http.router.v3.Router')
export const stdoutAuditLogType: MessageType<StdoutAuditLog> = messageType(
  'envoy.extensions.rbac.audit_loggers.stream.v3.StdoutAuditLog',
)
