import { resolveHost } from '../model/host.ts'
import type { Destination, HeaderChanges, HeaderOperations, Mirror, WeightedDestination } from '../model/virtual-service.ts'
import { isHeaderName, isLabel, readPort } from './names.ts'
import type { Value } from './value.ts'

const noChanges: HeaderChanges = { set: new Map(), add: new Map(), remove: [] }

/** What a list of filters does. */
export interface Filters {
  readonly headers: HeaderOperations | undefined
  readonly mirrors: readonly Mirror[]
  /** Fields of the filters that are there once at most, by the field's name. */
  readonly others: ReadonlyMap<string, Value>
}

/** Filters of every rule and backend. */
const headerFilters = ['RequestHeaderModifier', 'ResponseHeaderModifier'] as const
/** Filters of a rule of a GRPCRoute. */
export const grpcFilters = [...headerFilters, 'RequestMirror'] as const
/** Filters of a rule of an HTTPRoute. */
export const httpFilters = [...grpcFilters, 'RequestRedirect', 'URLRewrite'] as const
type FilterType = (typeof httpFilters)[number]

/** Reads `filters`; one that is none of `types` is an error. */
export function readFilters(value: Value, namespace: string, types: readonly FilterType[]): Filters {
  let request: HeaderChanges | undefined
  let response: HeaderChanges | undefined
  const mirrors: Mirror[] = []
  const others = new Map<string, Value>()
  for (const item of value.items()) {
    const fields = item
      .required()
      .fields(
        'type',
        'requestHeaderModifier',
        'responseHeaderModifier',
        'requestMirror',
        'requestRedirect',
        'urlRewrite',
        'extensionRef',
        'cors',
        'externalAuth',
      )
    const type = fields.type.required().asString()
    if (type === undefined) continue
    if (types.every(each => each !== type)) fields.type.error(`${type} is not supported here`)
    else if (type === 'RequestHeaderModifier') request = readChanges(fields.requestHeaderModifier.required())
    else if (type === 'ResponseHeaderModifier') response = readChanges(fields.responseHeaderModifier.required())
    else if (type === 'RequestMirror') mirrors.push(...readMirror(fields.requestMirror.required(), namespace))
    else if (others.has(type)) fields.type.error(`${type} is there already`)
    else others.set(type, (type === 'URLRewrite' ? fields.urlRewrite : fields.requestRedirect).required())
  }
  const headers =
    request === undefined && response === undefined
      ? undefined
      : { request: request ?? noChanges, response: response ?? noChanges }
  return { headers, mirrors, others }
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

/** Reads one of `backendRefs`. */
export function readBackend(value: Value, namespace: string): WeightedDestination | undefined {
  const fields = value.required()
  const destination = readDestination(fields, namespace, ['weight', 'filters'])
  if (destination === undefined) return undefined
  const { headers } = readFilters(fields.field('filters'), namespace, headerFilters)
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
