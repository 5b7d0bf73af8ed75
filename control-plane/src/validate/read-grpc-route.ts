import type { GrpcRoute, RankedRoute } from '../model/grpc-route.ts'
import { resolveHost } from '../model/host.ts'
import type { ObjectMeta } from '../model/object-meta.ts'
import type { StringMatch } from '../model/string-match.ts'
import type {
  Destination,
  HeaderChanges,
  HeaderOperations,
  HttpMatch,
  HttpRoute,
  Mirror,
  WeightedDestination,
} from '../model/virtual-service.ts'
import { isHeaderName, isLabel, readPort } from './names.ts'
import { readRegex } from './regex.ts'
import type { Value } from './value.ts'

const noChanges: HeaderChanges = { set: new Map(), add: new Map(), remove: [] }

/**
 * Reads the spec of a GRPCRoute whose parents are services (GAMMA). What it asks for and nobody does here is an error; what concerns gateways
 * alone has no effect and is said to have none.
 */
export function readGrpcRoute(meta: ObjectMeta, spec: Value): GrpcRoute {
  const fields = spec.required().fields('parentRefs', 'hostnames', 'rules', 'useDefaultGateways')
  if (fields.hostnames.items().length > 0) fields.hostnames.warn('has no effect: calls inside the mesh go by the service')
  const parents = fields.parentRefs.items().flatMap(item => readParent(item, meta.namespace) ?? [])
  if (parents.length === 0) spec.warn('has no effect: none of its parents is a Service')
  const ports = new Set(parents.map(({ port }) => port))
  if (ports.size > 1) fields.parentRefs.error('with different ports are not supported: write a GRPCRoute for each')
  const [port] = ports
  const routes = fields.rules.items().flatMap(item => readRule(item, meta.namespace, port))
  return { meta, hosts: parents.map(({ host }) => host), routes }
}

function readParent(value: Value, namespace: string): { readonly host: string; readonly port: number | undefined } | undefined {
  const fields = value.required().fields('group', 'kind', 'namespace', 'name', 'sectionName', 'port')
  const kind = fields.kind.asString() ?? 'Gateway'
  const group = fields.group.asString() ?? 'gateway.networking.k8s.io'
  const name = fields.name.required().asString() ?? ''
  if (kind !== 'Service' || group !== '') return undefined
  if (!isLabel(name)) fields.name.error(`is not the name of a service: ${JSON.stringify(name)}`)
  const own = fields.namespace.asString() ?? namespace
  if (own !== namespace) fields.namespace.error('is another one: routes for callers alone are not supported')
  if (!fields.sectionName.isAbsent) fields.sectionName.error('is not supported: name the port')
  return { host: resolveHost(name, own), port: fields.port.isAbsent ? undefined : readPort(fields.port) }
}

function readRule(value: Value, namespace: string, port: number | undefined): readonly RankedRoute[] {
  const fields = value.required().fields('name', 'matches', 'filters', 'backendRefs', 'sessionPersistence')
  if (!fields.sessionPersistence.isAbsent) fields.sessionPersistence.error('is not supported')
  const { headers, mirrors } = readFilters(fields.filters, namespace, true)
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

const anyMatch: HttpMatch = {
  name: '',
  statPrefix: '',
  uri: undefined,
  ignoreUriCase: false,
  method: undefined,
  authority: undefined,
  scheme: undefined,
  headers: new Map(),
  withoutHeaders: new Map(),
  queryParams: new Map(),
  port: undefined,
  sourceLabels: {},
  sourceNamespace: '',
  gateways: [],
}

const everything = (port: number | undefined): RankedMatch => ({ match: { ...anyMatch, port }, rank: [0, 0, 0] })

function readMatch(value: Value, port: number | undefined): RankedMatch {
  const fields = value.required().fields('method', 'headers')
  const headers = readHeaders(fields.headers)
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

function readHeaders(value: Value): ReadonlyMap<string, StringMatch> {
  const headers = new Map<string, StringMatch>()
  for (const item of value.items()) {
    const fields = item.required().fields('type', 'name', 'value')
    const name = fields.name.required().asString()?.toLowerCase() ?? ''
    if (!isHeaderName(name)) fields.name.error(`is not a header name: ${JSON.stringify(name)}`)
    const isRegex = fields.type.asOneOf(['Exact', 'RegularExpression']) === 'RegularExpression'
    const text = (isRegex ? readRegex(fields.value.required()) : fields.value.required().asString()) ?? ''
    // Of several matches of one header the first counts.
    if (!headers.has(name)) headers.set(name, { kind: isRegex ? 'regex' : 'exact', value: text })
  }
  return headers
}

function readFilters(
  value: Value,
  namespace: string,
  mayMirror: boolean,
): { readonly headers: HeaderOperations | undefined; readonly mirrors: readonly Mirror[] } {
  let request: HeaderChanges | undefined
  let response: HeaderChanges | undefined
  const mirrors: Mirror[] = []
  for (const item of value.items()) {
    const fields = item
      .required()
      .fields('type', 'requestHeaderModifier', 'responseHeaderModifier', 'requestMirror', 'extensionRef')
    const type = fields.type.required().asString()
    if (type === 'RequestHeaderModifier') request = readChanges(fields.requestHeaderModifier.required())
    else if (type === 'ResponseHeaderModifier') response = readChanges(fields.responseHeaderModifier.required())
    else if (type === 'RequestMirror' && mayMirror) mirrors.push(...readMirror(fields.requestMirror.required(), namespace))
    else if (type !== undefined) fields.type.error(`${type} is not supported here`)
  }
  const headers =
    request === undefined && response === undefined
      ? undefined
      : { request: request ?? noChanges, response: response ?? noChanges }
  return { headers, mirrors }
}

function readChanges(value: Value): HeaderChanges {
  const { set, add, remove } = value.fields('set', 'add', 'remove')
  const name = (field: Value) => {
    const text = field.required().asString() ?? ''
    if (!isHeaderName(text)) field.error(`is not a header name: ${JSON.stringify(text)}`)
    return text
  }
  const pairs = (list: Value) =>
    new Map(
      list.items().map(item => {
        const fields = item.required().fields('name', 'value')
        // Envoy's formats are not those of the Gateway API.
        return [name(fields.name), (fields.value.required().asString() ?? '').replaceAll('%', '%%')] as const
      }),
    )
  return { set: pairs(set), add: pairs(add), remove: remove.items().map(name) }
}

function readMirror(value: Value, namespace: string): readonly Mirror[] {
  const fields = value.fields('backendRef', 'percent', 'fraction')
  const destination = readDestination(fields.backendRef.required(), namespace, [])
  if (destination === undefined) return []
  if (fields.fraction.isAbsent) return [{ destination, percentage: fields.percent.asInteger(0, 100) ?? 100 }]
  if (!fields.percent.isAbsent) fields.fraction.error('excludes percent')
  const { numerator, denominator } = fields.fraction.fields('numerator', 'denominator')
  const of = denominator.asInteger(1, 0x7fff_ffff) ?? 100
  return [{ destination, percentage: ((numerator.required().asInteger(0, of) ?? 0) / of) * 100 }]
}

function readBackend(value: Value, namespace: string): WeightedDestination | undefined {
  const fields = value.required()
  const destination = readDestination(fields, namespace, ['weight', 'filters'])
  if (destination === undefined) return undefined
  const { headers } = readFilters(fields.field('filters'), namespace, false)
  return { destination, weight: fields.field('weight').asInteger(0, 1_000_000) ?? 1, headers }
}

function readDestination(value: Value, namespace: string, more: readonly ('weight' | 'filters')[]): Destination | undefined {
  const fields = value.fields('group', 'kind', 'name', 'namespace', 'port', ...more)
  if ((fields.group.asString() ?? '') !== '' || (fields.kind.asString() ?? 'Service') !== 'Service') {
    value.error('must be a Service')
    return undefined
  }
  const name = fields.name.required().asString() ?? ''
  if (!isLabel(name)) fields.name.error(`is not the name of a service: ${JSON.stringify(name)}`)
  const own = fields.namespace.asString() ?? namespace
  if (own !== namespace) fields.namespace.error('is another one, for which there is no ReferenceGrant: that kind is not read')
  return { host: resolveHost(name, own), subset: '', port: readPort(fields.port.required()) }
}
