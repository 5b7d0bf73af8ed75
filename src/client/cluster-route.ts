import type { HttpConnectionManager } from '../discovery/model/listener.ts'
import type { RouteConfiguration } from '../discovery/model/route.ts'
import { noHeaderMutations } from '../policies/header-mutation.ts'

/** What a listener says that says nothing. */
export const plainListener: HttpConnectionManager = {
  routes: { kind: 'rds', routeConfigName: '' },
  filters: [],
  maxStreamDurationMs: undefined,
  streamIdleTimeoutMs: undefined,
  normalizePath: false,
  mergeSlashes: false,
}

/** Routes by which every request goes to one cluster, as it is, once, and for as long as its caller waits. */
export function routesToCluster(name: string): RouteConfiguration {
  return {
    name,
    headerMutations: noHeaderMutations,
    ignorePortInHostMatching: false,
    mostSpecificHeaderMutationsWins: false,
    virtualHosts: [
      {
        name,
        domains: ['*'],
        headerMutations: noHeaderMutations,
        retryPolicy: undefined,
        requireTls: 'none',
        includeRequestAttemptCount: false,
        includeAttemptCountInResponse: false,
        filterOverrides: {},
        routes: [
          {
            name,
            match: {
              path: { kind: 'prefix', value: '', ignoreCase: false },
              headers: [],
              queryParameters: [],
              runtimeFraction: undefined,
              grpcOnly: false,
            },
            headerMutations: noHeaderMutations,
            filterOverrides: {},
            action: {
              kind: 'forward',
              clusters: { kind: 'cluster', name },
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
            },
          },
        ],
      },
    ],
  }
}
