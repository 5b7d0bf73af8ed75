import type { ForwardAction, Route, RouteConfiguration, VirtualHost, WeightedCluster } from '../discovery/model/route.ts'
import { type CompiledHeaderMutations, compileHeaderMutations } from '../policies/header-mutation.ts'
import { compilePathRewrite, type PathRewriter } from '../policies/path-rewrite.ts'
import type { RetryPolicy } from '../policies/retry.ts'
import { ClusterTarget, mutationOrder } from './cluster-target.ts'
import { DirectResponse } from './direct-response.ts'
import { matchedPath, urlTemplate } from './matched-path.ts'
import { Redirect } from './redirect.ts'
import { RouteMatcher, readRequestHeader } from './route-matcher.ts'
import type { RouteRequest } from './route-request.ts'

/** What a route does with a request. */
export type CompiledAction<R, T> =
  | { readonly kind: 'forward'; readonly forward: Forward<R, T> }
  | { readonly kind: 'redirect'; readonly redirect: Redirect }
  | { readonly kind: 'direct-response'; readonly directResponse: DirectResponse }
  | { readonly kind: 'non-forwarding' }

/** One route, compiled. Its identity is stable as long as its router's. */
export class CompiledRoute<R, T> {
  readonly config: Route
  readonly virtualHost: VirtualHost
  /** Of the route, else of its virtual host. */
  readonly name: string
  readonly urlTemplate: string
  readonly matcher: RouteMatcher
  readonly action: CompiledAction<R, T>
  /** For answers that no cluster gives (redirect, direct response); the levels of a weighted cluster are in its target. */
  readonly responseMutations: CompiledHeaderMutations | null
  /** What the owner of the router made for this route ({@link RouterAttachments}). */
  attachment: R | undefined

  /** @throws Error when a regex, template or header format is not legal */
  constructor(config: Route, virtualHost: VirtualHost, routeConfiguration: RouteConfiguration) {
    this.config = config
    this.virtualHost = virtualHost
    this.name = config.name === '' ? virtualHost.name : config.name
    this.urlTemplate = urlTemplate(config.match.path)
    this.matcher = new RouteMatcher(config.match)
    this.responseMutations = compileHeaderMutations(
      'response',
      mutationOrder(routeConfiguration, virtualHost, config.headerMutations, undefined),
    )
    this.attachment = undefined
    this.action = compileAction(this, routeConfiguration)
  }
}

function compileAction<R, T>(route: CompiledRoute<R, T>, routeConfiguration: RouteConfiguration): CompiledAction<R, T> {
  const { action, match } = route.config
  switch (action.kind) {
    case 'forward':
      return { kind: 'forward', forward: new Forward(route, action, routeConfiguration) }
    case 'redirect':
      return { kind: 'redirect', redirect: new Redirect(action, match) }
    case 'direct-response':
      return { kind: 'direct-response', directResponse: new DirectResponse(action) }
    case 'non-forwarding':
      return { kind: 'non-forwarding' }
  }
}

/** Targets made for names that came in a header; beyond it they are made anew each time. */
const maxHeaderTargets = 1024

/** `RouteAction`, compiled. */
export class Forward<R, T> {
  readonly config: ForwardAction
  /** The route's, else the virtual host's; never merged. */
  readonly retryPolicy: RetryPolicy | undefined
  /** Every cluster that can be picked; empty when the name comes from a header. */
  readonly targets: readonly ClusterTarget<R, T>[]
  readonly #route: CompiledRoute<R, T>
  readonly #routeConfiguration: RouteConfiguration
  readonly #single: ClusterTarget<R, T> | null
  readonly #totalWeight: number
  readonly #weightHeader: string
  readonly #clusterHeader: string
  readonly #headerTargets: Map<string, ClusterTarget<R, T>>
  readonly #pathRewriter: PathRewriter | null
  #attach: ((target: ClusterTarget<R, T>) => T) | null

  /** @throws Error when a regex, template or header format is not legal */
  constructor(route: CompiledRoute<R, T>, action: ForwardAction, routeConfiguration: RouteConfiguration) {
    const { clusters } = action
    this.config = action
    this.retryPolicy = action.retryPolicy ?? route.virtualHost.retryPolicy
    this.#route = route
    this.#routeConfiguration = routeConfiguration
    this.targets = this.#compileTargets()
    this.#single = clusters.kind === 'cluster' ? (this.targets[0] ?? null) : null
    this.#totalWeight = clusters.kind === 'weighted' ? clusters.totalWeight : 0
    this.#weightHeader = clusters.kind === 'weighted' ? clusters.headerName : ''
    this.#clusterHeader = clusters.kind === 'header' ? clusters.header : ''
    this.#headerTargets = new Map()
    this.#pathRewriter =
      action.pathRewrite === undefined ? null : compilePathRewrite(action.pathRewrite, matchedPath(route.config.match.path))
    this.#attach = null
  }

  /** Sets what makes the attachments, and makes those of the known targets. */
  attach(attach: (target: ClusterTarget<R, T>) => T): void {
    this.#attach = attach
    for (const target of this.targets) target.attachment = attach(target)
  }

  /**
   * Chooses the cluster. Weights are half-open intervals in list order over `floor(random * total)`; a valid number in the
   * configured header takes the place of `random`.
   *
   * @param random in `[0, 1)`
   * @returns `null` when the header that must name the cluster is absent or empty
   */
  pickTarget(request: RouteRequest, random: number): ClusterTarget<R, T> | null {
    if (this.#single !== null) return this.#single
    if (this.#clusterHeader !== '') return this.#targetFromHeader(request)
    return this.#pickWeighted(this.#weightOf(request, random))
  }

  /** The path to send, with its query; the same string when the route rewrites none. */
  rewritePath(path: string): string {
    return this.#pathRewriter === null ? path : this.#pathRewriter.rewrite(path)
  }

  #weightOf(request: RouteRequest, random: number): number {
    if (this.#weightHeader !== '') {
      const value = readRequestHeader(request, this.#weightHeader)
      const text = typeof value === 'string' ? value : value?.[0]
      if (text !== undefined && /^\d{1,20}$/.test(text)) {
        const number = BigInt(text)
        if (number < 2n ** 64n) return Number(number % BigInt(this.#totalWeight))
      }
    }
    return Math.floor(random * this.#totalWeight)
  }

  #pickWeighted(value: number): ClusterTarget<R, T> | null {
    let left = value
    for (const target of this.targets) {
      if (left < target.weight) return target
      left -= target.weight
    }
    return null
  }

  #targetFromHeader(request: RouteRequest): ClusterTarget<R, T> | null {
    const value = readRequestHeader(request, this.#clusterHeader)
    const name = typeof value === 'string' ? value : value?.[0]
    if (name === undefined || name === '') return null
    let target = this.#headerTargets.get(name)
    if (target === undefined) {
      target = this.#compileTarget(name)
      if (this.#attach !== null) target.attachment = this.#attach(target)
      if (this.#headerTargets.size < maxHeaderTargets) this.#headerTargets.set(name, target)
    }
    return target
  }

  #compileTargets(): readonly ClusterTarget<R, T>[] {
    const { clusters } = this.config
    switch (clusters.kind) {
      case 'cluster':
        return [this.#compileTarget(clusters.name)]
      case 'weighted':
        return clusters.clusters.map(weighted => this.#compileTarget(weighted.name, weighted))
      case 'header':
        return []
    }
  }

  #compileTarget(name: string, weighted?: WeightedCluster): ClusterTarget<R, T> {
    const levels = { routeConfiguration: this.#routeConfiguration, virtualHost: this.#route.virtualHost }
    return new ClusterTarget(this.#route, this.config, name, weighted, levels)
  }
}
