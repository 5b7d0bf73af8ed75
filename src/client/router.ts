import type { RouteConfiguration, VirtualHost } from '../discovery/model/route.ts'
import { DomainTable, withoutPort } from '../policies/domain-table.ts'
import { withoutQuery } from '../policies/path-rewrite.ts'
import type { ClusterTarget } from './cluster-target.ts'
import { CompiledRoute } from './compiled-route.ts'
import type { RouteRequest } from './route-request.ts'

/** Makes what the owner of a router wants to find on its routes, once, when the router is compiled. */
export interface RouterAttachments<R, T> {
  route(route: CompiledRoute<R, T>): R
  /** Called after `route`; `target.route.attachment` is set. */
  target(target: ClusterTarget<R, T>): T
}

/** A virtual host, compiled: the first route of its list that matches wins. */
export class CompiledVirtualHost<R, T> {
  readonly config: VirtualHost
  readonly routes: readonly CompiledRoute<R, T>[]
  /** The route that every request takes; `null`: it depends on the request. */
  readonly onlyRoute: CompiledRoute<R, T> | null

  constructor(config: VirtualHost, routes: readonly CompiledRoute<R, T>[]) {
    this.config = config
    this.routes = routes
    const [first = null] = routes
    this.onlyRoute = first?.matcher.matchesAll === true ? first : null
  }

  /** @param random in `[0, 1)`, for runtime fractions */
  match(request: RouteRequest, random: number): CompiledRoute<R, T> | null {
    if (this.onlyRoute !== null) return this.onlyRoute
    const path = withoutQuery(request.path)
    const { routes } = this
    for (let at = 0; at < routes.length; at++) {
      const route = routes[at]
      if (route?.matcher.matches(request, path, random) === true) return route
    }
    return null
  }
}

/**
 * A `RouteConfiguration`, compiled once. Immutable, and its decisions are pure functions of the request and a random number.
 *
 * `R` and `T` are what the owner attaches to routes and cluster targets.
 */
export class Router<R = undefined, T = undefined> {
  readonly config: RouteConfiguration
  readonly virtualHosts: readonly CompiledVirtualHost<R, T>[]
  readonly #domains = new DomainTable<CompiledVirtualHost<R, T>>()
  readonly #ignorePort: boolean
  /** That was asked for last, which is often asked for next. */
  #lastAuthority: string | null = null
  #lastHost: CompiledVirtualHost<R, T> | null = null

  /** @throws Error naming the virtual host and route whose regex, template, header format or domain is not legal */
  constructor(config: RouteConfiguration, attachments?: RouterAttachments<R, T>) {
    this.config = config
    this.#ignorePort = config.ignorePortInHostMatching
    this.virtualHosts = config.virtualHosts.map(virtualHost => this.#compile(virtualHost, attachments))
  }

  /**
   * The virtual host of an authority, or `null`. The port is part of what is compared unless
   * `ignore_port_in_host_matching`, which takes it off the request and never off the domains.
   */
  findVirtualHost(authority: string): CompiledVirtualHost<R, T> | null {
    if (authority === this.#lastAuthority) return this.#lastHost
    const host = this.#domains.find(this.#ignorePort ? withoutPort(authority) : authority)
    this.#lastAuthority = authority
    this.#lastHost = host
    return host
  }

  /**
   * The route a request takes, or `null` when there is none (Envoy's 404 `NR`).
   *
   * @param random in `[0, 1)`, for runtime fractions
   */
  match(request: RouteRequest, random: number): CompiledRoute<R, T> | null {
    const virtualHost = this.findVirtualHost(request.authority)
    return virtualHost === null ? null : virtualHost.match(request, random)
  }

  #compile(virtualHost: VirtualHost, attachments: RouterAttachments<R, T> | undefined): CompiledVirtualHost<R, T> {
    const routes = virtualHost.routes.map((route, index) => {
      try {
        return new CompiledRoute<R, T>(route, virtualHost, this.config)
      } catch (cause) {
        const label = route.name === '' ? `routes[${index}]` : `route "${route.name}"`
        throw new Error(`virtual host "${virtualHost.name}": ${label}: ${messageOf(cause)}`, { cause })
      }
    })
    const compiled = new CompiledVirtualHost(virtualHost, routes)
    for (const domain of virtualHost.domains) {
      if (!this.#domains.add(domain, compiled))
        throw new Error(`virtual host "${virtualHost.name}": domain "${domain}" is there already`)
    }
    if (attachments !== undefined) {
      for (const route of routes) {
        route.attachment = attachments.route(route)
        if (route.action.kind === 'forward') route.action.forward.attach(target => attachments.target(target))
      }
    }
    return compiled
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
