import type { ObjectMeta } from './object-meta.ts'
import type { HttpRoute, VirtualService } from './virtual-service.ts'

/** `gateway.networking.k8s.io` HTTPRoute or GRPCRoute, as calls inside the mesh obey it (GAMMA): each match of each rule is a route of its own. */
export interface GatewayRoute {
  readonly kind: 'HTTPRoute' | 'GRPCRoute'
  readonly meta: ObjectMeta
  /** Full names of the services whose callers it is for. */
  readonly hosts: readonly string[]
  readonly routes: readonly RankedRoute[]
}

/** A route, and how closely it says for what it is. */
export interface RankedRoute {
  readonly route: HttpRoute
  /** What counts first comes first, and what is more comes before what is less. All of one kind are of one length. */
  readonly rank: readonly number[]
}

/** Why a route has no effect on some of its services. */
export interface Overruled {
  readonly meta: ObjectMeta
  readonly hosts: readonly string[]
  /** Of what they obey in its place. */
  readonly kind: 'VirtualService' | 'HTTPRoute' | 'GRPCRoute'
}

/** What the routes of a mesh come to. */
export interface MergedRoutes {
  readonly virtualServices: readonly VirtualService[]
  readonly overruled: readonly Overruled[]
}

/**
 * What the routes of each service come to together: the closest match first, then the oldest object, then the first rule (HTTPRouteRule and
 * GRPCRouteRule of the Gateway API). A service that has a VirtualService is left to it, and one that has routes of both kinds to the kind of
 * the oldest.
 *
 * @param routes in the order of age
 */
export function mergeRoutes(routes: readonly GatewayRoute[], others: readonly VirtualService[]): MergedRoutes {
  const taken = new Set(others.flatMap(({ hosts, appliesToMesh }) => (appliesToMesh ? hosts : [])))
  const virtualServices: VirtualService[] = []
  const overruled: Overruled[] = []
  const byHost = Map.groupBy(
    routes.flatMap(each => each.hosts.map(host => ({ host, each }))),
    ({ host }) => host,
  )
  for (const [host, found] of byHost) {
    const winner = taken.has(host) ? 'VirtualService' : (found[0]?.each.kind ?? 'HTTPRoute')
    const [own, lost] = [found.filter(({ each }) => each.kind === winner), found.filter(({ each }) => each.kind !== winner)]
    overruled.push(...lost.map(({ each: { meta } }) => ({ meta, hosts: [host], kind: winner }) as const))
    const [first] = own
    if (first === undefined) continue
    const ranked = own.flatMap(({ each }) => each.routes).sort((a, b) => compareRank(a.rank, b.rank))
    virtualServices.push({ meta: first.each.meta, hosts: [host], appliesToMesh: true, http: ranked.map(({ route }) => route) })
  }
  return { virtualServices, overruled }
}

function compareRank(a: RankedRoute['rank'], b: RankedRoute['rank']): number {
  return b.map((each, index) => each - (a[index] ?? 0)).find(difference => difference !== 0) ?? 0
}
