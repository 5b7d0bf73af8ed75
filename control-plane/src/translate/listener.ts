import type { DescMessage } from '@bufbuild/protobuf'
import { create } from '@bufbuild/protobuf'
import { durationFromMs } from '@bufbuild/protobuf/wkt'
import { TrafficDirection } from 'inmesh/gen/envoy/config/core/v3/base_pb'
import { type Listener, ListenerSchema } from 'inmesh/gen/envoy/config/listener/v3/listener_pb'
import { CorsSchema } from 'inmesh/gen/envoy/extensions/filters/http/cors/v3/cors_pb'
import { HTTPFaultSchema } from 'inmesh/gen/envoy/extensions/filters/http/fault/v3/fault_pb'
import { RouterSchema } from 'inmesh/gen/envoy/extensions/filters/http/router/v3/router_pb'
import {
  HttpConnectionManager_PathWithEscapedSlashesAction as EscapedSlashes,
  HttpConnectionManagerSchema,
  type HttpFilter,
  HttpFilterSchema,
} from 'inmesh/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb'
import { ads, pack } from './config-source.ts'
import { filterNames } from './filter-overrides.ts'

/** A listener that a client without proxy asks for by the name it calls (gRFC A27). */
export function apiListener(name: string, routeConfigName: string): Listener {
  return create(ListenerSchema, {
    name,
    apiListener: {
      apiListener: pack(HttpConnectionManagerSchema, {
        ...routing(name, routeConfigName),
        httpFilters: [filter(filterNames.fault, HTTPFaultSchema), filter(filterNames.router, RouterSchema)],
      }),
    },
  })
}

/** A listener on which a proxy takes the calls of its application, on the loopback interface. */
export function outboundListener(port: number, routeConfigName: string): Listener {
  const name = `127.0.0.1_${port}`
  return create(ListenerSchema, {
    name,
    trafficDirection: TrafficDirection.OUTBOUND,
    address: {
      address: { case: 'socketAddress', value: { address: '127.0.0.1', portSpecifier: { case: 'portValue', value: port } } },
    },
    filterChains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            configType: {
              case: 'typedConfig',
              value: pack(HttpConnectionManagerSchema, {
                ...routing(`outbound_${name}`, routeConfigName),
                httpFilters: [
                  filter(filterNames.fault, HTTPFaultSchema),
                  filter(filterNames.cors, CorsSchema),
                  filter(filterNames.router, RouterSchema),
                ],
                useRemoteAddress: false,
                upgradeConfigs: [{ upgradeType: 'websocket' }],
                streamIdleTimeout: durationFromMs(0),
              }),
            },
          },
        ],
      },
    ],
  })
}

/** Paths are normalised, and escaped slashes kept, as Istio has it. */
const routing = (statPrefix: string, routeConfigName: string) => ({
  statPrefix,
  routeSpecifier: { case: 'rds' as const, value: { configSource: ads, routeConfigName } },
  normalizePath: true,
  pathWithEscapedSlashesAction: EscapedSlashes.KEEP_UNCHANGED,
})

const filter = (name: string, schema: DescMessage): HttpFilter =>
  create(HttpFilterSchema, { name, configType: { case: 'typedConfig', value: pack(schema, {}) } })
