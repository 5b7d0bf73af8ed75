import type {
  ClusterSpecifier,
  ForwardAction,
  PathMatch,
  Route,
  RouteAction,
  RouteConfiguration,
  RouteMatch,
  VirtualHost,
  WeightedCluster,
} from '../../src/discovery/model/route.ts'
import { noHeaderMutations } from '../../src/policies/header-mutation.ts'

/** A forward action to the cluster `c` that does nothing else; a test changes what it is about. */
export function forward(more: Partial<ForwardAction> = {}): ForwardAction {
  return {
    kind: 'forward',
    clusters: { kind: 'cluster', name: 'c' },
    clusterNotFoundStatus: 503,
    timeoutMs: undefined,
    idleTimeoutMs: undefined,
    maxStreamDuration: undefined,
    retryPolicy: undefined,
    pathRewrite: undefined,
    hostRewrite: undefined,
    appendXForwardedHost: false,
    hashPolicies: [],
    mirrors: [],
    hedgeOnPerTryTimeout: false,
    priority: 'default',
    ...more,
  }
}

/** Weighted clusters by name and weight. */
export function weighted(
  weights: Readonly<Record<string, number>>,
  headerName = '',
  more: Partial<WeightedCluster> = {},
): ClusterSpecifier {
  const clusters = Object.entries(weights).map(([name, weight]) => ({
    name,
    weight,
    headerMutations: noHeaderMutations,
    hostRewrite: undefined,
    filterOverrides: {},
    ...more,
  }))
  return { kind: 'weighted', clusters, totalWeight: clusters.reduce((sum, { weight }) => sum + weight, 0), headerName }
}

export function path(kind: PathMatch['kind'], text: string, ignoreCase = false): PathMatch {
  if (kind === 'regex') return { kind, regex: text }
  if (kind === 'template') return { kind, template: text }
  return { kind, value: text, ignoreCase }
}

export function match(more: Partial<RouteMatch> = {}): RouteMatch {
  return { path: path('prefix', '/'), headers: [], queryParameters: [], runtimeFraction: undefined, grpcOnly: false, ...more }
}

export function route(
  name: string,
  more: Partial<RouteMatch> = {},
  action: RouteAction = forward(),
  rest: Partial<Route> = {},
): Route {
  return { name, match: match(more), action, headerMutations: noHeaderMutations, filterOverrides: {}, ...rest }
}

export function virtualHost(domains: readonly string[], routes: readonly Route[], more: Partial<VirtualHost> = {}): VirtualHost {
  return {
    name: domains[0] ?? '',
    domains,
    routes,
    headerMutations: noHeaderMutations,
    retryPolicy: undefined,
    requireTls: 'none',
    includeRequestAttemptCount: false,
    includeAttemptCountInResponse: false,
    filterOverrides: {},
    ...more,
  }
}

export function routeConfiguration(
  virtualHosts: readonly VirtualHost[],
  more: Partial<RouteConfiguration> = {},
): RouteConfiguration {
  return {
    name: 'routes',
    virtualHosts,
    headerMutations: noHeaderMutations,
    ignorePortInHostMatching: false,
    mostSpecificHeaderMutationsWins: false,
    ...more,
  }
}
