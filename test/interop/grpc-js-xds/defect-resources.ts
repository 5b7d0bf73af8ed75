import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { anyPack, anyUnpack, DurationSchema } from '@bufbuild/protobuf/wkt'
import { HttpProtocolOptionsSchema } from '../../../src/discovery/gen/envoy/config/core/v3/protocol_pb.ts'
import type { Listener } from '../../../src/discovery/gen/envoy/config/listener/v3/listener_pb.ts'
import type {
  RouteActionSchema,
  RouteMatchSchema,
  RouteSchema,
} from '../../../src/discovery/gen/envoy/config/route/v3/route_components_pb.ts'
import { type RouteConfiguration, RouteConfigurationSchema } from '../../../src/discovery/gen/envoy/config/route/v3/route_pb.ts'
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
} from '../../../src/discovery/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts'
import { assignmentMessage, clusterMessage, listenerMessage, type XdsMessage } from '../../support/xds-resources.ts'

type RouteInit = MessageInitShape<typeof RouteSchema>

/** A route to a cluster; a text is a prefix. */
export function route(
  match: string | MessageInitShape<typeof RouteMatchSchema>,
  cluster: string,
  action: MessageInitShape<typeof RouteActionSchema> = {},
): RouteInit {
  const value = { ...action, clusterSpecifier: { case: 'cluster', value: cluster } as const }
  return {
    match: typeof match === 'string' ? { pathSpecifier: { case: 'prefix', value: match } } : match,
    action: { case: 'route', value },
  }
}

/** Routes for every authority. */
export function routes(name: string, ...each: readonly RouteInit[]): RouteConfiguration {
  return create(RouteConfigurationSchema, { name, virtualHosts: [{ name: 'all', domains: ['*'], routes: [...each] }] })
}

/** A listener after which its routes are named. */
export const service = (name: string, ...each: readonly RouteInit[]): readonly XdsMessage[] => [
  listenerMessage(name),
  routes(name, ...each),
]

/** A cluster and its endpoints. */
export const cluster = (name: string, ...addresses: readonly string[]): readonly XdsMessage[] => [
  clusterMessage(name),
  assignmentMessage(name, ...addresses),
]

/** A listener whose connection manager is not the default one. */
export function listener(name: string, change: (manager: HttpConnectionManager) => void): Listener {
  const message = listenerMessage(name)
  const packed = message.apiListener?.apiListener
  const manager = packed && anyUnpack(packed, HttpConnectionManagerSchema)
  if (!manager || !message.apiListener) throw new Error('not a listener of a client')
  change(manager)
  message.apiListener.apiListener = anyPack(HttpConnectionManagerSchema, manager)
  return message
}

/** How long a call may take where a {@link limitedListener} says so. */
export const limitMs = 300

/** A listener with these fields of `common_http_protocol_options` at {@link limitMs}. */
export const limitedListener = (name: string, ...fields: readonly ('maxStreamDuration' | 'idleTimeout')[]): Listener =>
  listener(name, manager => {
    const options = Object.fromEntries(fields.map(field => [field, millis(limitMs)]))
    manager.commonHttpProtocolOptions = create(HttpProtocolOptionsSchema, options)
  })

/** Less than a second. */
export const millis = (ms: number) => create(DurationSchema, { nanos: ms * 1_000_000 })
