import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { TrafficDirection } from 'inmesh/gen/envoy/config/core/v3/base_pb'
import type { FilterChainSchema } from 'inmesh/gen/envoy/config/listener/v3/listener_components_pb'
import { type Listener, ListenerSchema } from 'inmesh/gen/envoy/config/listener/v3/listener_pb'
import { RouterSchema } from 'inmesh/gen/envoy/extensions/filters/http/router/v3/router_pb'
import {
  HttpConnectionManagerSchema,
  type HttpFilter,
  HttpFilterSchema,
} from 'inmesh/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb'
import type { MeshRouting } from '../model/mesh-model.ts'
import type { MtlsMode } from '../model/peer-authentication.ts'
import { type AuthorizationOptions, authorizationFilters } from './authorization/authorization-filters.ts'
import { jwtAuthnFilter } from './authorization/jwt-authn.ts'
import { peerAuthenticationMode } from './authorization/peer-authentication-mode.ts'
import { requestAuthenticationFilter } from './authorization/request-authentication-filter.ts'
import { pack } from './config-source.ts'
import { filterNames } from './filter-overrides.ts'
import { serverTlsSocket } from './mutual-tls.ts'
import type { View } from './view.ts'

type Chain = Exclude<MessageInitShape<typeof FilterChainSchema>, { $typeName: string }>
type Match = { readonly transportProtocol?: string }

/** What Istio calls the listener of a server without proxy; the address where it is bound comes after it. */
const prefix = 'xds.istio.io/grpc/lds/inbound/'

/** Where a server is bound whose listener has this name; `undefined` for other names. */
export function inboundAddress(name: string): { readonly address: string; readonly port: number } | undefined {
  if (!name.startsWith(prefix)) return undefined
  const [, address = '', port = ''] = /^\[?([^\]]*)\]?:(\d{1,5})$/.exec(name.slice(prefix.length)) ?? []
  const number = Number(port)
  return port === '' || number < 1 || number > 65_535 ? undefined : { address, port: number }
}

/** The listener of a server (gRFC A36): how it takes connections, and who may do what. `undefined` for a name that is no server's. */
export function translateInbound(name: string, routing: MeshRouting, view: View, trustDomain: string): Listener | undefined {
  const bound = inboundAddress(name)
  if (bound === undefined) return undefined
  const { address, port } = bound
  const { peerAuthentications, authorizationPolicies, requestAuthentications } = routing
  const mode = peerAuthenticationMode(view, peerAuthentications, port)
  const tokens = requestAuthenticationFilter(view, requestAuthentications)
  const tokenFilter = tokens && jwtAuthnFilter(tokens)
  const options = { trustDomain, tokenFilter, ...authorizersOf(routing, view) }
  const filters = withOwnNames(authorizationFilters(view, authorizationPolicies, options))
  const plain = (filterChainMatch: Match = {}): Chain => ({ ...chain('plain', port, filters), filterChainMatch })
  const mutual = (filterChainMatch: Match = {}): Chain => ({
    ...chain('mutual', port, filters),
    filterChainMatch,
    transportSocket: serverTlsSocket(view),
  })
  const chains: Readonly<Record<MtlsMode, () => Chain[]>> = {
    DISABLE: () => [plain()],
    PERMISSIVE: () => [mutual({ transportProtocol: 'tls' }), plain({ transportProtocol: 'raw_buffer' })],
    STRICT: () => [mutual()],
  }
  return create(ListenerSchema, {
    name,
    trafficDirection: TrafficDirection.INBOUND,
    address: { address: { case: 'socketAddress', value: { address, portSpecifier: { case: 'portValue', value: port } } } },
    filterChains: chains[mode](),
  })
}

/** Servers of gRPC alone refuse a listener that asks somebody else, and what a policy is about is then better denied. */
function authorizersOf(authorizers: MeshRouting, { agent }: View): Pick<AuthorizationOptions, 'authorizers'> {
  return agent === 'inmesh' ? { authorizers } : {}
}

function chain(name: string, port: number, filters: readonly HttpFilter[]): Chain {
  return {
    name,
    filters: [
      {
        name: 'envoy.filters.network.http_connection_manager',
        configType: {
          case: 'typedConfig',
          value: pack(HttpConnectionManagerSchema, {
            statPrefix: `inbound_${port}`,
            routeSpecifier: {
              case: 'routeConfig',
              value: {
                name: `inbound|${port}||`,
                virtualHosts: [
                  {
                    name: `inbound|http|${port}`,
                    domains: ['*'],
                    routes: [
                      {
                        match: { pathSpecifier: { case: 'prefix', value: '/' } },
                        action: { case: 'nonForwardingAction', value: {} },
                      },
                    ],
                  },
                ],
              },
            },
            httpFilters: [...filters, router()],
          }),
        },
      },
    ],
  }
}

function router(): HttpFilter {
  return create(HttpFilterSchema, {
    name: filterNames.router,
    configType: { case: 'typedConfig', value: pack(RouterSchema, {}) },
  })
}

/** Istio gives them all the same one, which gRPC refuses (A39). */
function withOwnNames(filters: readonly HttpFilter[]): readonly HttpFilter[] {
  return filters.map((filter, index) => ({ ...filter, name: `${filter.name}.${index}` }))
}
