import { create } from '@bufbuild/protobuf'
import { type Route, type VirtualHost, VirtualHostSchema } from 'inmesh/gen/envoy/config/route/v3/route_components_pb'
import { closestMatch } from '../model/host.ts'
import type { MeshRouting } from '../model/mesh-model.ts'
import type { MeshService } from '../model/mesh-service.ts'
import { compareAge } from '../model/object-meta.ts'
import type { VirtualService } from '../model/virtual-service.ts'
import { GatewayRouteTable, type RuleSet } from './gateway-route-table.ts'
import { defaultRoute, translateRoutes } from './route.ts'
import type { TrafficPolicies } from './traffic-policies.ts'
import type { View } from './view.ts'

/** Which VirtualService or which routes of the Gateway API rule which host, and the routes that follow from them. */
export class VirtualHostTable {
  readonly #view: View
  readonly #routing: MeshRouting
  readonly #policies: TrafficPolicies
  /** The VirtualServices of each host, the oldest first: the first with rules for the caller counts, and it counts whole. */
  readonly #byHost = new Map<string, readonly VirtualService[]>()
  readonly #gatewayRoutes: GatewayRouteTable
  /** By rules and port: a rule on many hosts is translated once. */
  readonly #routes = new Map<RuleSet, Map<number, readonly Route[]>>()

  constructor(routing: MeshRouting, policies: TrafficPolicies, view: View) {
    this.#view = view
    this.#routing = routing
    this.#policies = policies
    this.#gatewayRoutes = new GatewayRouteTable(routing)
    for (const virtualService of routing.virtualServices) {
      if (!virtualService.appliesToMesh || virtualService.http.length === 0) continue
      for (const host of virtualService.hosts) this.#byHost.set(host, [...(this.#byHost.get(host) ?? []), virtualService])
    }
  }

  /** Hosts with rules and without a service, to which calls on port 80 are routed all the same. In the order of the hosts. */
  get hostsWithoutService(): readonly string[] {
    const services = [...this.#routing.services.keys()]
    const isServed = (host: string) => services.some(service => service === host || closestMatch([[host, true]], service))
    return [...this.#byHost.keys()].filter(host => !isServed(host)).sort()
  }

  /** The virtual host of a service's port. */
  ofService(service: MeshService, port: number, domains: readonly string[]): VirtualHost {
    const { host } = service
    for (const rules of this.#rulersOf(service, port)) {
      const routes = this.#routesOf(rules, port)
      if (routes.length > 0) return virtualHost(host, port, domains, routes)
    }
    const scope = { view: this.#view, routing: this.#routing, policies: this.#policies, port }
    return virtualHost(host, port, domains, [defaultRoute(host, scope)])
  }

  /** The virtual host of a host that a VirtualService rules; `undefined` when none does, or none of its rules concerns the caller. */
  ofHost(host: string, port: number, domains: readonly string[]): VirtualHost | undefined {
    for (const virtualService of closestMatch(this.#byHost, host) ?? []) {
      const routes = this.#routesOf(virtualService, port)
      if (routes.length > 0) return virtualHost(host, port, domains, routes)
    }
    return undefined
  }

  /**
   * Whoever has rules for the caller: the routes of its own namespace, then, the older first, those of the namespace of the service and
   * the VirtualServices on the service's host, or the oldest on the closest wildcard. As Istio has it, the first that has any counts whole.
   */
  #rulersOf(service: MeshService, port: number): readonly RuleSet[] {
    const { namespace } = this.#view
    const own = this.#gatewayRoutes.of(namespace, service, port)
    const shared = namespace === service.namespace ? undefined : this.#gatewayRoutes.of(service.namespace, service, port)
    const virtualServices = this.#byHost.get(service.host) ?? closestMatch(this.#byHost, service.host)?.slice(0, 1) ?? []
    const others = [...(shared ? [shared] : []), ...virtualServices]
    return [...(own ? [own] : []), ...others.sort((a, b) => compareAge(a.meta, b.meta))]
  }

  #routesOf(rules: RuleSet, port: number): readonly Route[] {
    let byPort = this.#routes.get(rules)
    if (!byPort) {
      byPort = new Map()
      this.#routes.set(rules, byPort)
    }
    let routes = byPort.get(port)
    if (!routes) {
      routes = translateRoutes(rules.http, { view: this.#view, routing: this.#routing, policies: this.#policies, port })
      byPort.set(port, routes)
    }
    return routes
  }
}

function virtualHost(host: string, port: number, domains: readonly string[], routes: readonly Route[]): VirtualHost {
  return create(VirtualHostSchema, {
    name: `${host}:${port}`,
    domains: [...domains],
    routes: [...routes],
    includeRequestAttemptCount: true,
  })
}
