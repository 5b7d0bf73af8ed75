import type { GatewayRoute, RankedRoute } from '../model/gateway-route.ts'
import type { ObjectMeta } from '../model/object-meta.ts'
import type { HttpForward, HttpMatch, HttpRoute } from '../model/virtual-service.ts'
import { parseDurationMs } from './duration.ts'
import { type Filters, httpFilters, readBackend, readFilters } from './gateway-filters.ts'
import { readParents, warnOfHostnames } from './gateway-parents.ts'
import { readRequestRedirect, readUrlRewrite } from './gateway-rewrite.ts'
import { everyRequest, readRouteMatch } from './http-route-match.ts'
import type { Value } from './value.ts'

/** Attempts after the first where `retry` does not say how many; Istio's. */
const defaultAttempts = 2
/** "Implementations SHOULD retry on connection errors." */
const connectionErrors = ['connect-failure', 'refused-stream', 'reset', 'unavailable', 'cancelled']

/**
 * Reads the spec of an HTTPRoute whose parents are services (GAMMA). What it asks for and nobody does here is an error; what concerns gateways
 * alone has no effect and is said to have none.
 */
export function readGatewayHttpRoute(meta: ObjectMeta, spec: Value): GatewayRoute {
  const fields = spec.required().fields('parentRefs', 'hostnames', 'rules', 'useDefaultGateways')
  warnOfHostnames(fields.hostnames)
  const { hosts, port } = readParents(fields.parentRefs, meta.namespace, spec)
  const rules = fields.rules.items()
  // Without any rule it is one that matches everything and has no backend.
  const routes = rules.length === 0 ? [everything(port)] : rules.flatMap(item => readRule(item, meta.namespace, port))
  return { kind: 'HTTPRoute', meta, hosts, routes }
}

function everything(port: number | undefined): RankedRoute {
  const { match, rank } = everyRequest(port)
  const route = { name: '', matches: [match], action: withoutBackends, headers: undefined, fault: undefined, cors: undefined }
  return { rank, route }
}

const withoutBackends: HttpRoute['action'] = { kind: 'direct-response', status: 500, body: 'the route has no backends' }

function readRule(value: Value, namespace: string, port: number | undefined): readonly RankedRoute[] {
  const fields = value.required().fields('name', 'matches', 'filters', 'backendRefs', 'timeouts', 'retry', 'sessionPersistence')
  if (!fields.sessionPersistence.isAbsent) fields.sessionPersistence.error('is not supported')
  const filters = readFilters(fields.filters, namespace, httpFilters)
  const destinations = fields.backendRefs.items().flatMap(item => readBackend(item, namespace) ?? [])
  const times = readTimes(fields.timeouts, fields.retry)
  const matches = fields.matches.items()
  const ranked = matches.length === 0 ? [everyRequest(port)] : matches.map(item => readRouteMatch(item, port))
  const actionOf = readAction(
    filters,
    ranked.map(({ match }) => match),
    { kind: 'forward', destinations, rewrite: undefined, ...times, mirrors: filters.mirrors, missingStatus: 500 },
  )
  const name = fields.name.asString() ?? ''
  const { headers } = filters
  return ranked.map(({ match, rank }) => ({
    rank,
    route: { name, matches: [match], action: actionOf(match), headers, fault: undefined, cors: undefined },
  }))
}

/** What becomes of the requests of each match. */
function readAction(
  { others }: Filters,
  matches: readonly HttpMatch[],
  forward: HttpForward,
): (match: HttpMatch) => HttpRoute['action'] {
  const redirect = others.get('RequestRedirect')
  const rewrite = others.get('URLRewrite')
  if (redirect !== undefined) {
    if (rewrite !== undefined) redirect.error('excludes URLRewrite')
    if (forward.destinations.length > 0) redirect.error('excludes backendRefs')
    return readRequestRedirect(redirect, matches)
  }
  const rewriteOf = rewrite === undefined ? undefined : readUrlRewrite(rewrite, matches)
  if (forward.destinations.every(({ weight }) => weight === 0)) return () => withoutBackends
  return match => ({ ...forward, rewrite: rewriteOf?.(match) })
}

/** `timeouts` and `retry`. As in Istio, the time of a backend is that of a try where `retry` is given, and else of all of it. */
function readTimes(timeouts: Value, retry: Value): Pick<HttpForward, 'timeoutMs' | 'retries'> {
  const { request, backendRequest } = timeouts.fields('request', 'backendRequest')
  const requestMs = readTime(request)
  const backendMs = readTime(backendRequest)
  if (requestMs !== undefined && backendMs !== undefined && backendMs > requestMs)
    backendRequest.error('must not be longer than request')
  if (retry.isAbsent) return { timeoutMs: backendMs ?? requestMs, retries: undefined }
  const fields = retry.fields('codes', 'attempts', 'backoff')
  const codes = fields.codes.items().map(item => String(item.asInteger(400, 599) ?? ''))
  return {
    timeoutMs: requestMs,
    retries: {
      attempts: fields.attempts.asInteger(0, 0x7fff_ffff) ?? defaultAttempts,
      perTryTimeoutMs: backendMs,
      retryOn: [...connectionErrors, ...codes],
      backoffMs: readTime(fields.backoff),
      retryRemoteLocalities: false,
      ignorePreviousHosts: undefined,
    },
  }
}

/** A duration of the Gateway API (GEP-2257) in milliseconds; none where it is 0. */
function readTime(value: Value): number | undefined {
  const text = value.asString()
  if (text === undefined) return undefined
  if (!/^([0-9]{1,5}(h|m|s|ms)){1,4}$/.test(text)) {
    value.error(`is not a duration such as 1m30s: ${JSON.stringify(text)}`)
    return undefined
  }
  return parseDurationMs(text) || undefined
}
