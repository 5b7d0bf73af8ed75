import { createRegistry, fromJson, type JsonObject, type Registry, toBinary } from '@bufbuild/protobuf'
import { FilterConfigSchema } from './gen/envoy/config/route/v3/route_components_pb.ts'
import { ClusterConfigSchema } from './gen/envoy/extensions/clusters/aggregate/v3/cluster_pb.ts'
import { CorsPolicySchema, CorsSchema } from './gen/envoy/extensions/filters/http/cors/v3/cors_pb.ts'
import { ExtAuthzPerRouteSchema, ExtAuthzSchema } from './gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.ts'
import { HTTPFaultSchema } from './gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts'
import { RBACPerRouteSchema, RBACSchema } from './gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.ts'
import { RouterSchema } from './gen/envoy/extensions/filters/http/router/v3/router_pb.ts'
import { HttpConnectionManagerSchema } from './gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts'
import { ClientSideWeightedRoundRobinSchema } from './gen/envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3/client_side_weighted_round_robin_pb.ts'
import { LeastRequestSchema } from './gen/envoy/extensions/load_balancing_policies/least_request/v3/least_request_pb.ts'
import { MaglevSchema } from './gen/envoy/extensions/load_balancing_policies/maglev/v3/maglev_pb.ts'
import { PickFirstSchema } from './gen/envoy/extensions/load_balancing_policies/pick_first/v3/pick_first_pb.ts'
import { RandomSchema } from './gen/envoy/extensions/load_balancing_policies/random/v3/random_pb.ts'
import { RingHashSchema } from './gen/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash_pb.ts'
import { RoundRobinSchema } from './gen/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin_pb.ts'
import { WrrLocalitySchema } from './gen/envoy/extensions/load_balancing_policies/wrr_locality/v3/wrr_locality_pb.ts'
import { UriTemplateMatchConfigSchema } from './gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.ts'
import { UriTemplateRewriteConfigSchema } from './gen/envoy/extensions/path/rewrite/uri_template/v3/uri_template_rewrite_pb.ts'
import { StdoutAuditLogSchema } from './gen/envoy/extensions/rbac/audit_loggers/stream/v3/stream_pb.ts'
import { PreviousHostsPredicateSchema } from './gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.ts'
import { DownstreamTlsContextSchema, UpstreamTlsContextSchema } from './gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts'
import { HttpProtocolOptionsSchema } from './gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts'
import { TypedStructSchema as UdpaTypedStructSchema } from './gen/udpa/type/v1/typed_struct_pb.ts'
import { TypedStructSchema } from './gen/xds/type/v3/typed_struct_pb.ts'

/** Every message that may stand behind an `@type` in a configuration file. */
export const knownTypes: Registry = createRegistry(
  ClientSideWeightedRoundRobinSchema,
  ClusterConfigSchema,
  CorsPolicySchema,
  CorsSchema,
  DownstreamTlsContextSchema,
  ExtAuthzPerRouteSchema,
  ExtAuthzSchema,
  FilterConfigSchema,
  HTTPFaultSchema,
  HttpConnectionManagerSchema,
  HttpProtocolOptionsSchema,
  LeastRequestSchema,
  MaglevSchema,
  PickFirstSchema,
  PreviousHostsPredicateSchema,
  RBACPerRouteSchema,
  RBACSchema,
  RandomSchema,
  RingHashSchema,
  RoundRobinSchema,
  RouterSchema,
  StdoutAuditLogSchema,
  TypedStructSchema,
  UdpaTypedStructSchema,
  UpstreamTlsContextSchema,
  UriTemplateMatchConfigSchema,
  UriTemplateRewriteConfigSchema,
  WrrLocalitySchema,
)

/**
 * A message of one of these types from its JSON. Fields that are not known are left out.
 *
 * @throws Error when it is none
 */
export function bytesOf(typeName: string, json: JsonObject): Uint8Array {
  const schema = knownTypes.getMessage(typeName)
  if (schema === undefined) throw new Error(`${typeName} is not known here`)
  return toBinary(schema, fromJson(schema, json, { ignoreUnknownFields: true, registry: knownTypes }))
}
