import type { BoundRoute } from '../model/bound-route.ts'
import { mergeRules } from '../model/merge-rules.ts'
import type { MeshRouting } from '../model/mesh-model.ts'
import type { MeshService } from '../model/mesh-service.ts'
import type { ObjectMeta } from '../model/object-meta.ts'
import type { HttpRoute } from '../model/virtual-service.ts'

/** Rules that rule a host together. */
export interface RuleSet {
  /** Of the oldest object that they come from. */
  readonly meta: ObjectMeta
  /** The first that matches wins. */
  readonly http: readonly HttpRoute[]
}

/** Which routes of the Gateway API rule the calls of a service's port (GEP-1426). */
export class GatewayRouteTable {
  readonly #byHost: ReadonlyMap<string, readonly BoundRoute[]>
  readonly #sets = new Map<string, RuleSet | undefined>()

  constructor({ boundRoutes }: MeshRouting) {
    this.#byHost = Map.groupBy(boundRoutes, ({ host }) => host)
  }

  /**
   * The routes of one namespace, merged. Those of the service's own are for every caller, those of another for its callers alone.
   * Routes of the two kinds are not merged: with a GRPCRoute, HTTPRoutes of the same namespace do not count.
   */
  of(namespace: string, service: MeshService, port: number): RuleSet | undefined {
    const key = `${namespace} ${service.host} ${port}`
    if (!this.#sets.has(key)) this.#sets.set(key, this.#merge(namespace, service, port))
    return this.#sets.get(key)
  }

  #merge(namespace: string, { host, ports }: MeshService, port: number): RuleSet | undefined {
    const name = ports.find(({ number }) => number === port)?.name
    const bound = (this.#byHost.get(host) ?? []).filter(
      each =>
        each.route.meta.namespace === namespace &&
        (each.port === undefined || each.port === port) &&
        (each.portName === '' || each.portName === name),
    )
    const routes = [...new Set(bound.map(({ route }) => route))]
    const calls = routes.filter(({ type }) => type === 'grpc')
    const counting = calls.length > 0 ? calls : routes
    const [oldest] = counting
    return oldest && { meta: oldest.meta, http: mergeRules(counting).map(({ rule }) => rule.route) }
  }
}
