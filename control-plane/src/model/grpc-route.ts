import type { ObjectMeta } from './object-meta.ts'
import type { HttpRoute, VirtualService } from './virtual-service.ts'

/** `gateway.networking.k8s.io` GRPCRoute, as calls inside the mesh obey it (GAMMA): each match of each rule is a route of its own. */
export interface GrpcRoute {
  readonly meta: ObjectMeta
  /** Full names of the services whose callers it is for. */
  readonly hosts: readonly string[]
  readonly routes: readonly RankedRoute[]
}

/** A route, and how closely it says for what it is. */
export interface RankedRoute {
  readonly route: HttpRoute
  /** Lengths of the service and of the method it is for, and the number of headers. */
  readonly rank: readonly [service: number, method: number, headers: number]
}

/**
 * What the routes of each service come to together: the closest match first, then the oldest object, then the first rule (GRPCRouteRule of
 * the Gateway API). A service that has a VirtualService is left to it.
 *
 * @param grpcRoutes in the order of age
 */
export function virtualServicesOf(
  grpcRoutes: readonly GrpcRoute[],
  others: readonly VirtualService[],
): readonly VirtualService[] {
  const taken = hostsOf(others)
  const byHost = Map.groupBy(
    grpcRoutes.flatMap(each => each.hosts.map(host => ({ host, each }))),
    ({ host }) => host,
  )
  return [...byHost].flatMap(([host, found]): VirtualService[] => {
    const [first] = found
    if (first === undefined || taken.has(host)) return []
    const ranked = found.flatMap(({ each }) => each.routes).sort((a, b) => compareRank(a.rank, b.rank))
    return [{ meta: first.each.meta, hosts: [host], appliesToMesh: true, http: ranked.map(({ route }) => route) }]
  })
}

/** The routes that a VirtualService of the same service overrules, with the services. */
export function overruled(
  grpcRoutes: readonly GrpcRoute[],
  others: readonly VirtualService[],
): readonly { readonly meta: ObjectMeta; readonly hosts: readonly string[] }[] {
  const taken = hostsOf(others)
  return grpcRoutes
    .map(({ meta, hosts }) => ({ meta, hosts: hosts.filter(host => taken.has(host)) }))
    .filter(({ hosts }) => hosts.length > 0)
}

const hostsOf = (virtualServices: readonly VirtualService[]) =>
  new Set(virtualServices.flatMap(({ hosts, appliesToMesh }) => (appliesToMesh ? hosts : [])))

function compareRank(a: RankedRoute['rank'], b: RankedRoute['rank']): number {
  return b[0] - a[0] || b[1] - a[1] || b[2] - a[2]
}
