import type { HealthStatus } from '../discovery/model/endpoint.ts'
import type { RetryPolicy } from '../policies/retry.ts'
import type { Random } from '../runtime.ts'
import type { Endpoint } from './endpoint.ts'
import type { HostOwner } from './mesh-hosts.ts'
import type { ChosenCluster, MatchedRoute } from './route-plan.ts'
import { type HeaderSource, type RouteRequest, readHeader } from './route-request.ts'
import type { Target } from './target.ts'

/** A call to explain. */
export interface ExplainRequest {
  readonly url: string | URL
  /** Default `GET`. */
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** An endpoint as a call would find it. */
export interface ExplainedEndpoint {
  readonly address: string
  readonly health: HealthStatus
  readonly ejected: boolean
  /** Its active health checks fail, or it has them and none has succeeded yet. */
  readonly failedHealthCheck: boolean
  readonly weight: number
  readonly activeRequests: number
  readonly priority: number
  readonly locality: string
}

/** Where a call would go, and why. */
export interface Explanation {
  readonly owner: HostOwner
  readonly authority: string
  readonly virtualHost: string | undefined
  readonly route: string | undefined
  /** Every cluster that the route can lead to, with its chance. */
  readonly clusters: readonly {
    readonly name: string
    readonly share: number
    readonly endpoints: readonly ExplainedEndpoint[]
    readonly error: string | undefined
  }[]
  readonly policies: {
    readonly timeoutMs: number | undefined
    readonly perTryTimeoutMs: number | undefined
    readonly retry: RetryPolicy | undefined
    readonly loadBalancing: string | undefined
  }
  /** The steps of the decision, in words. */
  readonly why: readonly string[]
}

/** Works out what {@link Explanation} says, without sending anything. */
export function explain(
  request: ExplainRequest,
  found: { readonly owner: HostOwner; readonly authority: string; readonly target: Target | null } | null,
  random: Random,
): Explanation {
  const url = new URL(request.url)
  const why: string[] = []
  const owner = found?.owner ?? 'outside'
  const authority = request.headers?.host ?? found?.authority ?? url.host
  const nothing = { owner, authority, virtualHost: undefined, route: undefined, clusters: [], policies: noPolicies, why }
  const target = found?.target ?? null
  if (target === null) {
    why.push(
      `host ${authority} is ${owner === 'probe' ? 'not known to the mesh (yet)' : 'not the mesh’s'}: the call goes past it`,
    )
    return nothing
  }
  const { router } = target
  if (router === null) {
    why.push(target.failure === null ? `host ${authority} is being discovered` : target.failure.message)
    return nothing
  }
  why.push(`host ${authority} has route configuration ${router.config.name}`)
  const virtualHost = router.findVirtualHost(authority)
  if (virtualHost === null) {
    why.push(`none of its virtual hosts serves ${authority}`)
    return nothing
  }
  why.push(`virtual host ${virtualHost.config.name} serves ${authority}`)
  const call = routeRequest(request, url, authority)
  const route = virtualHost.match(call, random())
  if (route === null) {
    why.push(`none of its ${virtualHost.routes.length} routes matches ${call.method} ${call.path}`)
    return { ...nothing, virtualHost: virtualHost.config.name }
  }
  const place = virtualHost.routes.indexOf(route) + 1
  why.push(`route ${route.name} (${place} of ${virtualHost.routes.length}) matches ${call.method} ${call.path}`)
  return { ...nothing, virtualHost: virtualHost.config.name, route: route.name, ...explainRoute(route, call, why) }
}

const noPolicies = { timeoutMs: undefined, perTryTimeoutMs: undefined, retry: undefined, loadBalancing: undefined }

function explainRoute(route: MatchedRoute, call: RouteRequest, why: string[]): Pick<Explanation, 'clusters' | 'policies'> {
  const { action, attachment } = route
  if (action.kind !== 'forward') {
    why.push(
      action.kind === 'redirect' ? `it redirects to ${action.redirect.location(call)}` : `it answers by itself (${action.kind})`,
    )
    return { clusters: [], policies: noPolicies }
  }
  const fromHeader = action.forward.targets.length === 0 ? action.forward.pickTarget(call, 0) : null
  const choices = fromHeader === null ? action.forward.targets : [fromHeader]
  const total = choices.reduce((sum, { weight }) => sum + weight, 0)
  const clusters = choices.map(choice => explainCluster(choice, total, why))
  return {
    clusters,
    policies: {
      timeoutMs: attachment?.timeoutMs === 0 ? undefined : attachment?.timeoutMs,
      perTryTimeoutMs: attachment?.perTryTimeoutMs === 0 ? undefined : attachment?.perTryTimeoutMs,
      retry: action.forward.retryPolicy,
      loadBalancing: choices[0]?.attachment?.cluster()?.config.loadBalancing.kind,
    },
  }
}

function explainCluster(choice: ChosenCluster, total: number, why: string[]): Explanation['clusters'][number] {
  const cluster = choice.attachment?.cluster() ?? null
  const share = choice.weight / total
  const error = cluster === null ? choice.attachment?.missing(503).message : undefined
  const endpoints = cluster === null ? [] : [...cluster.endpoints()].map(endpoint => explainEndpoint(endpoint))
  const usable = endpoints.filter(
    ({ health, ejected, failedHealthCheck }) => !ejected && !failedHealthCheck && (health === 'healthy' || health === 'unknown'),
  )
  why.push(
    error ?? `${percent(share)} goes to cluster ${choice.clusterName}: ${usable.length} of ${endpoints.length} endpoints usable`,
  )
  return { name: choice.clusterName, share, endpoints, error }
}

/** An endpoint as people read it. */
export function explainEndpoint(endpoint: Endpoint): ExplainedEndpoint {
  const { name, health, ejected, failedHealthCheck, weight, activeRequests, priority, locality } = endpoint
  const place = [locality.region, locality.zone, locality.subZone].filter(part => part !== '').join('/')
  return { address: name, health, ejected, failedHealthCheck, weight, activeRequests, priority, locality: place }
}

function routeRequest(request: ExplainRequest, url: URL, authority: string): RouteRequest {
  const headers: HeaderSource = request.headers
  return {
    authority,
    method: request.method ?? 'GET',
    path: url.pathname + url.search,
    scheme: url.protocol.slice(0, -1),
    header: name => readHeader(headers, name),
  }
}

function percent(share: number): string {
  return `${Math.round(share * 1000) / 10} %`
}
