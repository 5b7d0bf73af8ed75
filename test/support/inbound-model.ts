import type { DownstreamTls, FilterChain, FilterChainMatch, InboundListener } from '../../src/discovery/model/inbound-listener.ts'
import type { HttpFilter } from '../../src/discovery/model/listener.ts'
import type { InboundState } from '../../src/discovery/model/mesh-config.ts'
import type { Route, RouteConfiguration } from '../../src/discovery/model/route.ts'
import { workloadIdentity } from '../../src/discovery/model/tls.ts'
import { noHeaderMutations } from '../../src/policies/header-mutation.ts'
import { makeRoute, makeVirtualHost } from './fake-config-source.ts'

export const anyConnection: FilterChainMatch = {
  prefixRanges: [],
  sourceType: 'any',
  sourcePrefixRanges: [],
  sourcePorts: [],
  transportProtocol: '',
  isUnsupported: false,
}

/** Mutual TLS with the workload's identity. */
export const mutualTls: DownstreamTls = {
  certificate: { kind: 'provider', instance: workloadIdentity },
  trust: { kind: 'provider', instance: workloadIdentity },
  requiresClientCertificate: true,
  subjectAltNames: [],
  minVersion: undefined,
  maxVersion: 'TLSv1.3',
}

/** A route that serves every path. */
export const servingRoute = (route: Partial<Route> = {}): Route => ({
  ...makeRoute(''),
  action: { kind: 'non-forwarding' },
  ...route,
})

export const servingRoutes = (...routes: readonly Route[]): RouteConfiguration => ({
  name: 'routes',
  virtualHosts: [makeVirtualHost(routes.length === 0 ? [servingRoute()] : routes)],
  headerMutations: noHeaderMutations,
  ignorePortInHostMatching: false,
  mostSpecificHeaderMutationsWins: false,
})

export function makeChain({
  tls,
  match = {},
  filters = [],
  routes = servingRoutes(),
}: {
  readonly tls?: DownstreamTls
  readonly match?: Partial<FilterChainMatch>
  readonly filters?: readonly HttpFilter[]
  readonly routes?: RouteConfiguration
} = {}): FilterChain {
  return {
    name: '',
    match: { ...anyConnection, ...match },
    http: {
      routes: { kind: 'inline', routeConfiguration: routes },
      filters,
      maxStreamDurationMs: undefined,
      streamIdleTimeoutMs: undefined,
      normalizePath: false,
      mergeSlashes: false,
    },
    tls,
  }
}

export function makeInboundListener(
  filterChains: readonly FilterChain[],
  listener: Partial<InboundListener> = {},
): InboundListener {
  return { name: 'server', address: undefined, filterChains, defaultFilterChain: undefined, ...listener }
}

export function inboundState(...filterChains: readonly FilterChain[]): InboundState {
  return { kind: 'ready', listener: makeInboundListener(filterChains), routeConfigurations: new Map() }
}

/** The chains of the modes of `PeerAuthentication`. */
export const modes = {
  STRICT: (more: Parameters<typeof makeChain>[0] = {}) => [makeChain({ ...more, tls: mutualTls })],
  PERMISSIVE: (more: Parameters<typeof makeChain>[0] = {}) => [
    makeChain({ ...more, tls: mutualTls, match: { transportProtocol: 'tls' } }),
    makeChain({ ...more, match: { transportProtocol: 'raw_buffer' } }),
  ],
  DISABLE: (more: Parameters<typeof makeChain>[0] = {}) => [makeChain(more)],
} as const
