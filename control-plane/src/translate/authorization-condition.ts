import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { HeaderMatcherSchema } from 'inmesh/gen/envoy/config/route/v3/route_components_pb'
import { UriTemplateMatchConfigSchema } from 'inmesh/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb'
import type { MetadataMatcherSchema } from 'inmesh/gen/envoy/type/matcher/v3/metadata_pb'
import { type StringMatcher, StringMatcherSchema } from 'inmesh/gen/envoy/type/matcher/v3/string_pb'
import type { Attribute, Condition } from '../model/authorization-policy.ts'
import type { Permission, Principal } from './authorization.ts'
import { pack } from './config-source.ts'

/** Where a condition stands. */
export interface Context {
  readonly trustDomain: string
  /** Of the policy. */
  readonly namespace: string
}

const scheme = 'spiffe://'
/** Where the filter that verifies tokens leaves what is in them. */
const tokenMetadata = 'envoy.filters.http.jwt_authn'

/** The conditions on what is called, as permissions. */
export function permissionsOf(conditions: readonly Condition[], context: Context): Permission[] {
  return conditions.flatMap(({ attribute, values, notValues }) => {
    const make = permissionOf(attribute, context)
    if (make === undefined) return []
    const oneOf = (list: readonly string[]): Permission => ({
      rule: { case: 'orRules', value: { rules: list.flatMap(make) } },
    })
    return [
      ...(values.length > 0 ? [oneOf(values)] : []),
      ...(notValues.length > 0 ? [{ rule: { case: 'notRule' as const, value: oneOf(notValues) } }] : []),
    ]
  })
}

/** The conditions on who calls, and on headers and tokens, as principals. */
export function principalsOf(conditions: readonly Condition[], context: Context): Principal[] {
  return conditions.flatMap(({ attribute, values, notValues }) => {
    const make = principalOf(attribute, context)
    if (make === undefined) return []
    const oneOf = (list: readonly string[]): Principal => ({
      identifier: { case: 'orIds', value: { ids: list.flatMap(make) } },
    })
    return [
      ...(values.length > 0 ? [oneOf(values)] : []),
      ...(notValues.length > 0 ? [{ identifier: { case: 'notId' as const, value: oneOf(notValues) } }] : []),
    ]
  })
}

function permissionOf({ kind }: Attribute, _context: Context): ((value: string) => Permission[]) | undefined {
  switch (kind) {
    case 'host':
      return value => [{ rule: { case: 'header', value: headerOf(':authority', value, true) } }]
    case 'method':
      return value => [{ rule: { case: 'header', value: headerOf(':method', value, false) } }]
    case 'port':
      return value => [{ rule: { case: 'destinationPort', value: Number(value) } }]
    case 'destination-ip':
      return value => [{ rule: { case: 'destinationIp', value: rangeOf(value) } }]
    case 'sni':
      return value => [{ rule: { case: 'requestedServerName', value: stringOf(value) } }]
    case 'path':
      return value => [pathOf(value)]
    default:
      return undefined
  }
}

function principalOf(attribute: Attribute, { trustDomain, namespace }: Context): ((value: string) => Principal[]) | undefined {
  const named = (principalName: StringMatcher): Principal => ({
    identifier: { case: 'authenticated', value: { principalName } },
  })
  const tokenValue = (path: readonly string[], matcher: StringMatcher): Principal => ({
    identifier: { case: 'metadata', value: metadataOf(path, matcher) },
  })
  switch (attribute.kind) {
    case 'principal':
      return value => domainsOf(value, trustDomain).map(name => named(stringOf(name, scheme)))
    case 'namespace':
      return value => [named(regexOf(`.*/ns/${quote(value).replaceAll('\\*', '.*')}/.*`))]
    case 'service-account':
      return value => {
        const [first = '', second] = value.split('/')
        const [own, account] = second === undefined ? [namespace, first] : [first, second]
        return [named(regexOf(`${scheme}[^/]+/ns/${quote(own)}/sa/${quote(account)}`))]
      }
    case 'ip':
      return value => [{ identifier: { case: 'directRemoteIp', value: rangeOf(value) } }]
    case 'header':
      return value => [{ identifier: { case: 'header', value: headerOf(attribute.name, value, false) } }]
    case 'request-principal':
      return value => [tokenValue(['principal'], stringOf(value))]
    case 'audience':
      return value => [tokenValue(['claims', 'aud'], stringOf(value))]
    case 'presenter':
      return value => [tokenValue(['claims', 'azp'], stringOf(value))]
    case 'claim':
      return value => [tokenValue(['claims', ...attribute.path], stringOf(value))]
    default:
      return undefined
  }
}

/** `cluster.local` is, by convention, the trust domain of the mesh whatever its name. */
function domainsOf(principal: string, trustDomain: string): readonly string[] {
  const own = principal.replace(/^cluster\.local\//, `${trustDomain}/`)
  return own === principal ? [principal] : [own, principal]
}

/** `*` is anything but nothing; a star at one end leaves that end open. */
function stringOf(value: string, prefix = '', ignoreCase = false): StringMatcher {
  if (value === '*') return regexOf('.+')
  if (value.startsWith('*')) {
    if (prefix !== '') return regexOf(`${quote(prefix)}.*${quote(value.slice(1))}`)
    return create(StringMatcherSchema, { matchPattern: { case: 'suffix', value: value.slice(1) }, ignoreCase })
  }
  if (value.endsWith('*'))
    return create(StringMatcherSchema, { matchPattern: { case: 'prefix', value: prefix + value.slice(0, -1) }, ignoreCase })
  return create(StringMatcherSchema, { matchPattern: { case: 'exact', value: prefix + value }, ignoreCase })
}

function regexOf(regex: string): StringMatcher {
  return create(StringMatcherSchema, { matchPattern: { case: 'safeRegex', value: { regex } } })
}

function quote(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

function headerOf(name: string, value: string, ignoreCase: boolean) {
  if (value === '*') return create(HeaderMatcherSchema, { name, headerMatchSpecifier: { case: 'presentMatch', value: true } })
  return create(HeaderMatcherSchema, {
    name,
    headerMatchSpecifier: { case: 'stringMatch', value: stringOf(value, '', ignoreCase) },
  })
}

function rangeOf(value: string) {
  const [address = '', length] = value.split('/')
  return { addressPrefix: address, prefixLen: length === undefined ? (address.includes(':') ? 128 : 32) : Number(length) }
}

function pathOf(value: string): Permission {
  if (!value.includes('{')) return { rule: { case: 'urlPath', value: { rule: { case: 'path', value: stringOf(value) } } } }
  const pathTemplate = value.replaceAll('{**}', '**').replaceAll('{*}', '*')
  return {
    rule: {
      case: 'uriTemplate',
      value: { name: 'uri-template', typedConfig: pack(UriTemplateMatchConfigSchema, { pathTemplate }) },
    },
  }
}

/** A claim is a text, or a list of them. */
function metadataOf(path: readonly string[], matcher: StringMatcher): MessageInitShape<typeof MetadataMatcherSchema> {
  const text = { matchPattern: { case: 'stringMatch' as const, value: matcher } }
  return {
    filter: tokenMetadata,
    path: path.map(key => ({ segment: { case: 'key', value: key } })),
    value: {
      matchPattern: {
        case: 'orMatch',
        value: {
          valueMatchers: [text, { matchPattern: { case: 'listMatch', value: { matchPattern: { case: 'oneOf', value: text } } } }],
        },
      },
    },
  }
}
