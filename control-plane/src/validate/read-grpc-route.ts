import type { GatewayRoute, RankedRoute } from '../model/gateway-route.ts'
import type { ObjectMeta } from '../model/object-meta.ts'
import type { StringMatch } from '../model/string-match.ts'
import type { HttpMatch, HttpRoute } from '../model/virtual-service.ts'
import { grpcFilters, readBackend, readFilters } from './gateway-filters.ts'
import { anyMatch, readHeaderMatches } from './gateway-match.ts'
import { readParents, warnOfHostnames } from './gateway-parents.ts'
import { readRegex } from './regex.ts'
import type { Value } from './value.ts'

/**
 * Reads the spec of a GRPCRoute whose parents are services (GAMMA). What it asks for and nobody does here is an error; what concerns gateways
 * alone has no effect and is said to have none.
 */
export function readGrpcRoute(meta: ObjectMeta, spec: Value): GatewayRoute {
  const fields = spec.required().fields('parentRefs', 'hostnames', 'rules', 'useDefaultGateways')
  warnOfHostnames(fields.hostnames)
  const { hosts, port } = readParents(fields.parentRefs, meta.namespace, spec)
  const routes = fields.rules.items().flatMap(item => readRule(item, meta.namespace, port))
  return { kind: 'GRPCRoute', meta, hosts, routes }
}

function readRule(value: Value, namespace: string, port: number | undefined): readonly RankedRoute[] {
  const fields = value.required().fields('name', 'matches', 'filters', 'backendRefs', 'sessionPersistence')
  if (!fields.sessionPersistence.isAbsent) fields.sessionPersistence.error('is not supported')
  const { headers, mirrors } = readFilters(fields.filters, namespace, grpcFilters)
  const destinations = fields.backendRefs.items().flatMap(item => readBackend(item, namespace) ?? [])
  const action: HttpRoute['action'] = destinations.some(({ weight }) => weight > 0)
    ? { kind: 'forward', destinations, rewrite: undefined, timeoutMs: undefined, retries: undefined, mirrors }
    : // Of gRPC, UNAVAILABLE.
      { kind: 'direct-response', status: 503, body: 'the route has no backends' }
  const name = fields.name.asString() ?? ''
  const matches = fields.matches.items()
  const ranked = matches.length === 0 ? [everything(port)] : matches.map(item => readMatch(item, port))
  return ranked.map(({ match, rank }) => ({
    rank,
    route: { name, matches: [match], action, headers, fault: undefined, cors: undefined },
  }))
}

interface RankedMatch {
  readonly match: HttpMatch
  readonly rank: RankedRoute['rank']
}

const everything = (port: number | undefined): RankedMatch => ({ match: { ...anyMatch, port }, rank: [0, 0, 0] })

function readMatch(value: Value, port: number | undefined): RankedMatch {
  const fields = value.required().fields('method', 'headers')
  const headers = readHeaderMatches(fields.headers)
  if (fields.method.isAbsent) return { match: { ...anyMatch, port, headers }, rank: [0, 0, headers.size] }
  const method = fields.method.fields('type', 'service', 'method')
  const type = method.type.asOneOf(['Exact', 'RegularExpression']) ?? 'Exact'
  const read = (field: Value) => (type === 'Exact' ? readExact(field) : field.isAbsent ? '' : (readRegex(field) ?? ''))
  const service = read(method.service)
  const name = read(method.method)
  if (service === '' && name === '') fields.method.error('must have service or method')
  return {
    match: { ...anyMatch, port, headers, uri: pathOf(type, service, name) },
    rank: [service.length, name.length, headers.size],
  }
}

function readExact(value: Value): string {
  const text = value.asString() ?? ''
  if (text !== '' && !/^[A-Za-z_][A-Za-z_0-9.]*$/.test(text)) value.error(`is not a name of gRPC: ${JSON.stringify(text)}`)
  return text
}

function pathOf(type: 'Exact' | 'RegularExpression', service: string, method: string): StringMatch {
  if (type === 'RegularExpression') return { kind: 'regex', value: `/(?:${service || '[^/]+'})/(?:${method || '[^/]+'})` }
  if (service === '') return { kind: 'regex', value: `/[^/]+/${method}` }
  return method === '' ? { kind: 'prefix', value: `/${service}/` } : { kind: 'exact', value: `/${service}/${method}` }
}
