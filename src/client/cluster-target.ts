import type {
  FilterOverrides,
  ForwardAction,
  HostRewrite,
  RouteConfiguration,
  VirtualHost,
  WeightedCluster,
} from '../discovery/model/route.ts'
import { type CompiledHeaderMutations, compileHeaderMutations, type HeaderMutations } from '../policies/header-mutation.ts'
import { withoutQuery } from '../policies/path-rewrite.ts'
import { compileRegexSubstitution, type RegexSubstitution } from '../policies/regex-substitution.ts'
import type { CompiledRoute } from './compiled-route.ts'
import { readRequestHeader } from './route-matcher.ts'
import type { RouteRequest } from './route-request.ts'

/** One cluster that a route can lead to, with all that depends on the choice. */
export class ClusterTarget<R, T> {
  readonly route: CompiledRoute<R, T>
  readonly clusterName: string
  /** Weight within its route; 1 for a single cluster. */
  readonly weight: number
  /** Of the weighted cluster, else the route, else the virtual host: by filter name, never merged within one. */
  readonly filterOverrides: FilterOverrides
  /** All levels that apply, in order; `null` when they change nothing. */
  readonly requestMutations: CompiledHeaderMutations | null
  readonly responseMutations: CompiledHeaderMutations | null
  /** The `Host` is the picked endpoint's hostname (`auto_host_rewrite`). */
  readonly autoHostRewrite: boolean
  readonly hasHostRewrite: boolean
  /** What the owner of the router made for this target ({@link RouterAttachments}). */
  attachment: T | undefined
  readonly #hostRewrite: HostRewrite | undefined
  readonly #hostSubstitution: RegexSubstitution | null

  /** @throws Error when a header format or a regex is not legal */
  constructor(
    route: CompiledRoute<R, T>,
    action: ForwardAction,
    clusterName: string,
    weighted: WeightedCluster | undefined,
    levels: { readonly routeConfiguration: RouteConfiguration; readonly virtualHost: VirtualHost },
  ) {
    const { routeConfiguration, virtualHost } = levels
    this.route = route
    this.clusterName = clusterName
    this.weight = weighted?.weight ?? 1
    this.filterOverrides = { ...virtualHost.filterOverrides, ...route.config.filterOverrides, ...weighted?.filterOverrides }
    const mutations = mutationOrder(routeConfiguration, virtualHost, route.config.headerMutations, weighted?.headerMutations)
    this.requestMutations = compileHeaderMutations('request', mutations)
    this.responseMutations = compileHeaderMutations('response', mutations)
    const hostRewrite: HostRewrite | undefined =
      weighted?.hostRewrite === undefined ? action.hostRewrite : { kind: 'literal', value: weighted.hostRewrite }
    this.autoHostRewrite = hostRewrite?.kind === 'auto'
    this.hasHostRewrite = hostRewrite !== undefined
    this.attachment = undefined
    this.#hostRewrite = hostRewrite
    this.#hostSubstitution = hostRewrite?.kind === 'path-regex' ? compileRegexSubstitution(hostRewrite) : null
  }

  /** The `Host` to send, or `null` to leave it (also when it is the endpoint's business: {@link autoHostRewrite}). */
  rewriteHost(request: RouteRequest): string | null {
    const rewrite = this.#hostRewrite
    if (rewrite === undefined) return null
    switch (rewrite.kind) {
      case 'auto':
        return null
      case 'literal':
        return rewrite.value
      case 'header': {
        const value = readRequestHeader(request, rewrite.header)
        const first = typeof value === 'string' ? value : value?.[0]
        return first === undefined || first === '' ? null : first
      }
      case 'path-regex':
        return this.#hostSubstitution === null ? null : this.#hostSubstitution.replaceAll(withoutQuery(request.path))
    }
  }
}

/**
 * The levels of header mutation in the order of their application. The reversal is not a plain one: the weighted cluster
 * comes first either way, and so loses to the route (as Envoy 1.40 does, `most_specific_header_mutations_wins`).
 */
export function mutationOrder(
  routeConfiguration: RouteConfiguration,
  virtualHost: VirtualHost,
  route: HeaderMutations,
  weighted: HeaderMutations | undefined,
): readonly HeaderMutations[] {
  const rest = routeConfiguration.mostSpecificHeaderMutationsWins
    ? [routeConfiguration.headerMutations, virtualHost.headerMutations, route]
    : [route, virtualHost.headerMutations, routeConfiguration.headerMutations]
  return weighted === undefined ? rest : [weighted, ...rest]
}
