import type { CompiledRoute } from '../client/compiled-route.ts'
import { Router } from '../client/router.ts'
import type { DownstreamTls, FilterChain, InboundListener } from '../discovery/model/inbound-listener.ts'
import type { InboundRoutes } from '../discovery/model/mesh-config.ts'
import type { RouteConfiguration } from '../discovery/model/route.ts'
import { type ConnectionFacts, FilterChainMatch } from './filter-chain-match.ts'
import { type FilterFactories, filtersFor, type RequestFilters } from './request-filters.ts'
import type { RequestView } from './request-view.ts'

/** A route of a server. */
export type InboundRoute = CompiledRoute<RequestFilters, undefined>

/** Kinds of filters that decide who may do what. */
const authorizing: ReadonlySet<string> = new Set(['rbac', 'jwt-authn', 'ext-authz'])

type InboundRouter = Router<RequestFilters, undefined>
type Routes = ReadonlyMap<string, InboundRoutes>

/** A filter chain, ready for connections. */
export class CompiledChain {
  readonly config: FilterChain
  /** `null`: its routes cannot be had, and its requests fail. */
  readonly #router: InboundRouter | null
  /** Of those that have one that takes everything. */
  readonly #onlyRoute: InboundRoute | null
  /** It decides who may do what: requests are brought into one form first. */
  readonly authorizes: boolean
  /** An authorizer is asked, who may be told the body of a request. */
  readonly asks: boolean
  /** Why there are no routes; empty where there are. */
  readonly problem: string

  constructor(config: FilterChain, routes: Routes, factories: FilterFactories) {
    this.config = config
    const found = resolve(config, routes, factories)
    this.#router = typeof found === 'string' ? null : found
    this.#onlyRoute = this.#router === null ? null : onlyRouteOf(this.#router)
    this.problem = typeof found === 'string' ? found : ''
    this.asks = config.http.filters.some(({ config: { kind } }) => kind === 'ext-authz')
    this.authorizes = config.http.filters.some(({ config: { kind } }) => authorizing.has(kind))
  }

  get tls(): DownstreamTls | undefined {
    return this.config.tls
  }

  /** @param random in `[0, 1)`, for runtime fractions */
  match(request: RequestView, random: number): InboundRoute | null {
    return this.#onlyRoute ?? this.#router?.match(request, random) ?? null
  }
}

/** A listener, ready for connections. Immutable. */
export class CompiledListener {
  readonly config: InboundListener
  readonly #match: FilterChainMatch
  readonly #chains = new Map<FilterChain, CompiledChain>()

  constructor(config: InboundListener, routes: Routes, factories: FilterFactories) {
    this.config = config
    this.#match = new FilterChainMatch(config)
    const { filterChains, defaultFilterChain } = config
    for (const chain of defaultFilterChain === undefined ? filterChains : [...filterChains, defaultFilterChain])
      this.#chains.set(chain, new CompiledChain(chain, routes, factories))
  }

  /** Whether a chain can be chosen only after the first byte. */
  get asksForTransport(): boolean {
    return this.#match.asksForTransport
  }

  /** `undefined`: the connection is to be closed. */
  find(facts: ConnectionFacts): CompiledChain | undefined {
    const chain = this.#match.find(facts)
    return chain && this.#chains.get(chain)
  }
}

/** The router of a chain, or why there is none. */
function resolve(chain: FilterChain, known: Routes, factories: FilterFactories): InboundRouter | string {
  const found = routerOf(chain, known, factories)
  if (typeof found === 'string' || !changesRoute(chain.http) || onlyRouteOf(found) !== null) return found
  return 'clear_route_cache is supported where there is one route for every request'
}

/** An authorizer may change what the route is chosen by. */
function changesRoute({ filters }: FilterChain['http']): boolean {
  return filters.some(({ config }) => config.kind === 'ext-authz' && config.extAuthz.clearsRoute)
}

function routerOf(chain: FilterChain, known: Routes, factories: FilterFactories): InboundRouter | string {
  const { routes } = chain.http
  if (routes.kind === 'inline') return compile(chain, routes.routeConfiguration, factories)
  const found = known.get(routes.routeConfigName)
  if (found === undefined) return `routes "${routes.routeConfigName}" are not there`
  return found.kind === 'failed' ? found.message : compile(chain, found.routeConfiguration, factories)
}

function compile({ http }: FilterChain, config: RouteConfiguration, factories: FilterFactories): InboundRouter | string {
  try {
    return new Router<RequestFilters, undefined>(config, {
      route: ({ config: route, virtualHost }) =>
        filtersFor(http, [route.filterOverrides, virtualHost.filterOverrides], factories),
      target: () => undefined,
    })
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function onlyRouteOf({ virtualHosts }: InboundRouter): InboundRoute | null {
  const [virtualHost, ...others] = virtualHosts
  if (virtualHost === undefined || others.length > 0 || !virtualHost.config.domains.includes('*')) return null
  return virtualHost.onlyRoute
}
