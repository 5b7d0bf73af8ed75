import type { MessageInitShape } from '@bufbuild/protobuf'
import type { PermissionSchema, PrincipalSchema } from 'inmesh/gen/envoy/config/rbac/v3/rbac_pb'
import { UriTemplateMatchConfigSchema } from 'inmesh/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb'
import type { MetadataMatcherSchema } from 'inmesh/gen/envoy/type/matcher/v3/metadata_pb'
import type { StringMatcherSchema } from 'inmesh/gen/envoy/type/matcher/v3/string_pb'
import type { ValueMatcherSchema } from 'inmesh/gen/envoy/type/matcher/v3/value_pb'
import { isPathTemplate } from '../../validate/authorization-values.ts'
import { pack } from '../config-source.ts'
import {
  anyValue,
  beginningWith,
  cidrRange,
  elementValue,
  endingWith,
  exactly,
  headerMatcher,
  matching,
  principalMatcher,
  quoteRegex,
  something,
  stringValue,
  wildcardMatcher,
} from './value-matchers.ts'

export type Permission = MessageInitShape<typeof PermissionSchema>
export type Principal = MessageInitShape<typeof PrincipalSchema>
type StringMatcher = MessageInitShape<typeof StringMatcherSchema>
type ValueMatcher = MessageInitShape<typeof ValueMatcherSchema>

/** Makes a rule that one of the values satisfies. At least one is given. */
export interface Generator<Rule> {
  /** Whether it means nothing on a connection that is not HTTP. */
  readonly isHttpOnly: boolean
  anyOf(values: readonly string[]): Rule
}

const permissions = (make: (value: string) => Permission, isHttpOnly = false): Generator<Permission> => ({
  isHttpOnly,
  anyOf: values => ({ rule: { case: 'orRules', value: { rules: values.map(make) } } }),
})
const principals = (make: (value: string) => Principal, isHttpOnly = false): Generator<Principal> => ({
  isHttpOnly,
  anyOf: values => anyPrincipal(values.map(make)),
})

const anyPrincipal = (ids: readonly Principal[]): Principal => ({ identifier: { case: 'orIds', value: { ids: [...ids] } } })
const authenticated = (principalName: StringMatcher): Principal => ({
  identifier: { case: 'authenticated', value: { principalName } },
})

export const hosts = permissions(value => ({ rule: { case: 'header', value: headerMatcher(':authority', value, true) } }), true)
export const methods = permissions(value => ({ rule: { case: 'header', value: headerMatcher(':method', value) } }), true)
export const paths = permissions(pathPermission, true)
export const ports = permissions(value => ({ rule: { case: 'destinationPort', value: Number(value) } }))
export const destinationIps = permissions(value => ({ rule: { case: 'destinationIp', value: cidrRange(value) } }))
export const serverNames = permissions(value => ({ rule: { case: 'requestedServerName', value: wildcardMatcher(value) } }))

export const sourceIps = principals(value => ({ identifier: { case: 'directRemoteIp', value: cidrRange(value) } }))
export const remoteIps = principals(value => ({ identifier: { case: 'remoteIp', value: cidrRange(value) } }))
export const sourcePrincipals = principals(value => authenticated(principalMatcher(value)))
export const namespaces = principals(value => authenticated(matching(`.*/ns/${value.split('*').map(quoteRegex).join('.*')}/.*`)))
export const trustDomains = principals(value => authenticated(trustDomainMatcher(value)))
export const serviceAccounts = (policyNamespace: string) =>
  principals(value => authenticated(matching(serviceAccountRegex(policyNamespace, value))))
export const requestHeaders = (name: string) =>
  principals(value => ({ identifier: { case: 'header', value: headerMatcher(name, value) } }), true)

/** Of `<issuer>/<subject>`, split at the last slash since an issuer may be a URL. */
export const requestPrincipals: Generator<Principal> = {
  isHttpOnly: true,
  anyOf(values) {
    const all = values.map(value => {
      const [issuer, subject] = issuerAndSubject(value)
      const ids = [claim(['iss'], stringValue(issuer)), claim(['sub'], stringValue(subject))]
      return { identifier: { case: 'andIds', value: { ids } } } satisfies Principal
    })
    const [only] = all
    return only !== undefined && all.length === 1 ? only : anyPrincipal(all)
  },
}

/** A claim that is a text or a list of texts. */
export const claims = (path: readonly string[]): Generator<Principal> => ({
  isHttpOnly: true,
  anyOf(values) {
    const value = anyValue(values.map(each => stringValue(wildcardMatcher(each))))
    return claim(path, { matchPattern: { case: 'orMatch', value: { valueMatchers: [elementValue(value), value] } } })
  },
})

/** Metadata of any filter; a value in brackets is an element of a list. */
export const filterMetadata = (filter: string, key: string): Generator<Permission> => ({
  isHttpOnly: false,
  anyOf(values) {
    const matchers = values.map(value => {
      const isList = value.startsWith('[') && value.endsWith(']')
      const matcher = stringValue(wildcardMatcher(isList ? value.replace(/^[[\]]+|[[\]]+$/g, '') : value))
      return isList ? elementValue(matcher) : matcher
    })
    return { rule: { case: 'metadata', value: metadataMatcher(filter, [key], anyValue(matchers)) } }
  },
})

function pathPermission(value: string): Permission {
  if (!isPathTemplate(value))
    return { rule: { case: 'urlPath', value: { rule: { case: 'path', value: wildcardMatcher(value) } } } }
  const pathTemplate = value.replaceAll('{*}', '*').replaceAll('{**}', '**')
  const typedConfig = pack(UriTemplateMatchConfigSchema, { pathTemplate })
  return { rule: { case: 'uriTemplate', value: { name: 'uri-template', typedConfig } } }
}

function trustDomainMatcher(value: string): StringMatcher {
  if (value === '*') return beginningWith('spiffe://')
  if (!value.includes('*')) return beginningWith(`spiffe://${value}/`)
  return matching(`spiffe://${value.split('*').map(quoteRegex).join('[^/]*')}/.*`)
}

/** Of the forms `…/ns/<namespace>/sa/<account>`, with other pairs between and behind. */
function serviceAccountRegex(policyNamespace: string, value: string): string {
  const [first = '', second] = value.split('/')
  const [namespace, account] = second === undefined ? [policyNamespace, first] : [first, second]
  return `spiffe://.+/ns/${quoteRegex(namespace)}/(.+/|)sa/${quoteRegex(account)}(/.+)?`
}

function issuerAndSubject(value: string): readonly [StringMatcher, StringMatcher] {
  const slash = value.lastIndexOf('/')
  const [issuer, subject] = slash < 0 ? [value, ''] : [value.slice(0, slash), value.slice(slash + 1)]
  if (value === '*') return [something, something]
  if (value.startsWith('*')) {
    if (slash < 0) return [something, endingWith(value.slice(1))]
    return [issuer === '*' ? something : endingWith(issuer.slice(1)), exactly(subject)]
  }
  if (value.endsWith('*')) {
    if (slash < 0) return [beginningWith(value.slice(0, -1)), something]
    return [exactly(issuer), subject === '*' ? something : beginningWith(subject.slice(0, -1))]
  }
  return [exactly(issuer), exactly(subject)]
}

const claim = (path: readonly string[], value: ValueMatcher): Principal => ({
  identifier: { case: 'metadata', value: metadataMatcher('envoy.filters.http.jwt_authn', ['payload', ...path], value) },
})

const metadataMatcher = (
  filter: string,
  keys: readonly string[],
  value: ValueMatcher,
): MessageInitShape<typeof MetadataMatcherSchema> => ({
  filter,
  path: keys.map(key => ({ segment: { case: 'key', value: key } })),
  value,
})
