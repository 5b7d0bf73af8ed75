import type { HeaderChanges, HeaderOperations, Mirror } from '../../model/virtual-service.ts'
import type { Value } from '../value.ts'
import { checkCount } from './check-count.ts'
import { readHeaderModifier } from './read-header-modifier.ts'
import { readMirror } from './read-mirror.ts'

/** Most filters of a rule or of a backend. */
const maxFilters = 16

/** The field in which each type of filter has its settings. */
const settings = {
  RequestHeaderModifier: 'requestHeaderModifier',
  ResponseHeaderModifier: 'responseHeaderModifier',
  RequestMirror: 'requestMirror',
  RequestRedirect: 'requestRedirect',
  URLRewrite: 'urlRewrite',
  CORS: 'cors',
  ExternalAuth: 'externalAuth',
  ExtensionRef: 'extensionRef',
} as const

type FilterType = keyof typeof settings

/** Types that are filters in the Gateway API and not here. */
const unsupported: Readonly<Partial<Record<FilterType, string>>> = {
  CORS: 'no browser calls a client of the mesh',
  ExternalAuth: 'write an AuthorizationPolicy',
  ExtensionRef: 'there are no other filters than those of the Gateway API',
}

/** Which filters may stand where. */
export interface FilterSet {
  /** What the kind of route has. */
  readonly known: readonly FilterType[]
  /** What is obeyed here. */
  readonly supported: readonly FilterType[]
}

const modifiers = ['RequestHeaderModifier', 'ResponseHeaderModifier'] as const
const grpc = [...modifiers, 'RequestMirror', 'ExtensionRef'] as const
const http = [...grpc, 'RequestRedirect', 'URLRewrite', 'CORS', 'ExternalAuth'] as const

/** Filters of the rules and of the backends of both kinds of routes. */
export const filterSets = {
  grpcRule: { known: grpc, supported: [...modifiers, 'RequestMirror'] },
  grpcBackend: { known: grpc, supported: modifiers },
  httpRule: { known: http, supported: [...modifiers, 'RequestMirror', 'RequestRedirect', 'URLRewrite'] },
  httpBackend: { known: http, supported: modifiers },
} as const satisfies Record<string, FilterSet>

/** What the filters of a rule or of a backend say. */
export interface Filters {
  readonly headers: HeaderOperations | undefined
  readonly mirrors: readonly Mirror[]
  /** Settings that depend on the match of the path, still to be read. */
  readonly redirect: Value | undefined
  readonly rewrite: Value | undefined
}

/** Reads `filters`. All but RequestMirror may stand there once. */
export function readFilters(value: Value, set: FilterSet, namespace: string): Filters {
  checkCount(value, maxFilters)
  const given = value.items().flatMap(item => readFilter(item, set) ?? [])
  for (const [index, { type, item }] of given.entries()) {
    const isRepeated = given.findIndex(each => each.type === type) < index
    if (isRepeated && type !== 'RequestMirror') item.error(`repeats the filter ${type}`)
  }
  const find = (wanted: FilterType) => given.find(({ type }) => type === wanted)?.body
  const request = find('RequestHeaderModifier')
  const response = find('ResponseHeaderModifier')
  const redirect = find('RequestRedirect')
  const rewrite = find('URLRewrite')
  if (redirect && rewrite) value.error('may have only one of RequestRedirect and URLRewrite')
  return {
    headers:
      request || response
        ? {
            request: request ? readHeaderModifier(request, true) : noChanges,
            response: response ? readHeaderModifier(response, false) : noChanges,
          }
        : undefined,
    mirrors: given.flatMap(({ type, body }) => (type === 'RequestMirror' ? (readMirror(body, namespace) ?? []) : [])),
    redirect,
    rewrite,
  }
}

const noChanges: HeaderChanges = { set: new Map(), add: new Map(), remove: [] }

function readFilter(item: Value, { known, supported }: FilterSet) {
  const names = known.map(type => settings[type])
  const fields = item.required().fields('type', ...names)
  const type = fields.type.required().asOneOf(known)
  if (type === undefined) return undefined
  if (!supported.includes(type)) {
    const why = unsupported[type] ?? 'put it into the filters of the rule'
    fields.type.error(`${type} is not supported: ${why}`)
    return undefined
  }
  for (const other of known) {
    const field = item.field(settings[other])
    if (other !== type && !field.isAbsent) field.error(`is not for a filter of type ${type}`)
  }
  return { type, item, body: item.field(settings[type]).required() }
}
