import type { Router } from '../../src/client/router.ts'
import type { RouteConfiguration } from '../../src/discovery/model/route.ts'
import { built, report, settings } from '../contender.ts'

const virtualHosts = 1000
const routesEach = 10
const noMutations = { requestAdd: [], requestRemove: [], responseAdd: [], responseRemove: [] }

const routeConfiguration: RouteConfiguration = {
  name: 'bench',
  headerMutations: noMutations,
  ignorePortInHostMatching: false,
  mostSpecificHeaderMutationsWins: false,
  virtualHosts: Array.from({ length: virtualHosts }, (_, host) => ({
    name: `service-${host}`,
    domains: [`service-${host}.default.svc.cluster.local`, `service-${host}.default.svc.cluster.local:8080`, `service-${host}`],
    headerMutations: noMutations,
    retryPolicy: undefined,
    requireTls: 'none',
    includeRequestAttemptCount: false,
    includeAttemptCountInResponse: false,
    filterOverrides: {},
    routes: Array.from({ length: routesEach }, (_, route) => ({
      name: `route-${route}`,
      match: {
        path: { kind: 'prefix', value: `/api/v${route}/`, ignoreCase: false },
        headers: [],
        queryParameters: [],
        runtimeFraction: undefined,
        grpcOnly: false,
      },
      action: {
        kind: 'forward',
        clusters: { kind: 'cluster', name: `outbound|8080||service-${host}` },
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
      headerMutations: noMutations,
      filterOverrides: {},
    })),
  })),
}

const { matches } = settings<{ matches: number }>()
const { Router: RouterClass } = await built<{ Router: typeof Router }>('client/router')
const begun = performance.now()
const router = new RouterClass(routeConfiguration)
const compileMs = performance.now() - begun

// A prime stride visits every host and route in an order that no cache line predicts.
const requests = Array.from({ length: 4096 }, (_, index) => {
  const authority = `service-${(index * 7919) % virtualHosts}.default.svc.cluster.local:8080`
  return {
    authority,
    method: 'GET',
    path: `/api/v${(index * 31) % routesEach}/items/${index}?q=1`,
    scheme: 'http',
    header: () => undefined,
  }
})

function run(count: number): number {
  let matched = 0
  for (let i = 0; i < count; i++) {
    const request = requests[i & 4095]
    if (request && router.match(request, 0.5) !== null) matched++
  }
  return matched
}

run(matches / 3)
const heapBefore = process.memoryUsage().heapUsed
const start = process.hrtime.bigint()
const matched = run(matches)
const value = Number(process.hrtime.bigint() - start) / matches
const bytesPerMatch = Math.max(0, process.memoryUsage().heapUsed - heapBefore) / matches
if (matched !== matches) throw new Error(`only ${matched} of ${matches} requests matched`)
report({ value, bytesPerMatch, compileMs })
