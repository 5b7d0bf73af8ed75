import { parseIp } from '../../policies/ip-range.ts'
import { compilePathTemplate } from '../../policies/path-template.ts'
import type { RbacFilter, RbacRule, RbacRules } from '../../policies/rbac/rules.ts'
import type { CidrRange } from '../gen/envoy/config/core/v3/address_pb.ts'
import {
  RBAC_Action as Action,
  type Permission,
  type Policy,
  type Principal,
  type RBAC as Rules,
} from '../gen/envoy/config/rbac/v3/rbac_pb.ts'
import type { HeaderMatcher as HeaderMatcherMessage } from '../gen/envoy/config/route/v3/route_components_pb.ts'
import type { RBAC, RBACPerRoute } from '../gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.ts'
import { UriTemplateMatchConfigSchema } from '../gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.ts'
import type { MetadataMatcher } from '../gen/envoy/type/matcher/v3/metadata_pb.ts'
import type { PathMatcher } from '../gen/envoy/type/matcher/v3/path_pb.ts'
import { readTypedConfig } from './any.ts'
import { decodeHeaderMatcher } from './header-matcher.ts'
import type { Problems } from './problems.ts'
import { decodeStringMatcher } from './string-matcher.ts'
import { decodeValueMatcher } from './value-matcher.ts'

/** In place of what cannot be decoded: the resource is refused. */
const nothing: RbacRule = { kind: 'or', rules: [] }

/**
 * Decodes `envoy.extensions.filters.http.rbac.v3.RBAC` (gRFC A41). What cannot be obeyed in full is an error: a policy that is passed over would
 * let somebody in.
 */
export function decodeRbac(message: RBAC, problems: Problems): RbacFilter {
  if (message.matcher !== undefined) problems.addAt('matcher', 'is not supported')
  if (message.shadowMatcher !== undefined) problems.addAt('shadow_matcher', 'is not supported')
  return {
    rules: message.rules && decodeRules(message.rules, problems.at('rules')),
    shadowRules: message.shadowRules && decodeRules(message.shadowRules, problems.at('shadow_rules')),
  }
}

/** Decodes `RBACPerRoute`; without rules it turns the filter off. */
export function decodeRbacPerRoute({ rbac }: RBACPerRoute, problems: Problems): RbacFilter {
  return rbac === undefined ? { rules: undefined, shadowRules: undefined } : decodeRbac(rbac, problems.at('rbac'))
}

const actions: Partial<Record<Action, RbacRules['action']>> = {
  [Action.ALLOW]: 'allow',
  [Action.DENY]: 'deny',
  [Action.LOG]: 'log',
}

function decodeRules({ action, policies }: Rules, problems: Problems): RbacRules {
  const known = actions[action]
  if (known === undefined) problems.addAt('action', `must be ALLOW, DENY or LOG, got ${action}`)
  const decoded = Object.entries(policies)
    // In this order, since a map has none, and the first that matches is told of.
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, policy]) => ({ name, ...decodePolicy(policy, problems.at(`policies["${name}"]`)) }))
  return { action: known ?? 'allow', policies: decoded }
}

function decodePolicy(policy: Policy, problems: Problems) {
  if (policy.condition !== undefined) problems.addAt('condition', 'is not supported')
  if (policy.checkedCondition !== undefined) problems.addAt('checked_condition', 'is not supported')
  if (policy.permissions.length === 0) problems.addAt('permissions', 'must not be empty')
  if (policy.principals.length === 0) problems.addAt('principals', 'must not be empty')
  return {
    permissions: policy.permissions.map((each, index) => decodePermission(each, problems.at('permissions', index))),
    principals: policy.principals.map((each, index) => decodePrincipal(each, problems.at('principals', index))),
  }
}

function decodePermission({ rule }: Permission, problems: Problems): RbacRule {
  switch (rule.case) {
    case 'any':
      return decodeAny(rule.value, problems)
    case 'andRules':
    case 'orRules': {
      const field = rule.case === 'andRules' ? 'and_rules' : 'or_rules'
      const rules = rule.value.rules.map((each, index) => decodePermission(each, problems.at(field).at('rules', index)))
      return { kind: rule.case === 'andRules' ? 'and' : 'or', rules: notEmpty(rules, problems.at(field), 'rules') }
    }
    case 'notRule':
      return { kind: 'not', rule: decodePermission(rule.value, problems.at('not_rule')) }
    case 'header':
      return decodeHeader(rule.value, problems.at('header'))
    case 'urlPath':
      return decodePath(rule.value, problems.at('url_path'))
    case 'destinationIp':
      return decodeIp('destination-ip', rule.value, problems.at('destination_ip'))
    case 'destinationPort':
      return { kind: 'destination-port', start: rule.value, end: rule.value + 1 }
    case 'destinationPortRange':
      return { kind: 'destination-port', start: rule.value.start, end: rule.value.end }
    case 'metadata':
      return decodeMetadata(rule.value, problems.at('metadata'))
    case 'requestedServerName':
      return { kind: 'server-name', matcher: decodeStringMatcher(rule.value, problems.at('requested_server_name')) }
    case 'uriTemplate': {
      const typed = readTypedConfig(rule.value.typedConfig)
      const template = typed.as(UriTemplateMatchConfigSchema, problems.at('uri_template'))
      return template === undefined ? nothing : decodeTemplate(template.pathTemplate, problems.at('uri_template'))
    }
    default:
      problems.add(rule.case === undefined ? 'must have a rule' : `${rule.case} is not supported`)
      return nothing
  }
}

function decodePrincipal({ identifier }: Principal, problems: Problems): RbacRule {
  switch (identifier.case) {
    case 'any':
      return decodeAny(identifier.value, problems)
    case 'andIds':
    case 'orIds': {
      const field = identifier.case === 'andIds' ? 'and_ids' : 'or_ids'
      const rules = identifier.value.ids.map((each, index) => decodePrincipal(each, problems.at(field).at('ids', index)))
      return { kind: identifier.case === 'andIds' ? 'and' : 'or', rules: notEmpty(rules, problems.at(field), 'ids') }
    }
    case 'notId':
      return { kind: 'not', rule: decodePrincipal(identifier.value, problems.at('not_id')) }
    case 'authenticated': {
      const { principalName } = identifier.value
      const at = problems.at('authenticated').at('principal_name')
      return { kind: 'authenticated', name: principalName && decodeStringMatcher(principalName, at) }
    }
    case 'sourceIp':
      return decodeIp('source-ip', identifier.value, problems.at('source_ip'))
    case 'directRemoteIp':
      return decodeIp('source-ip', identifier.value, problems.at('direct_remote_ip'))
    case 'remoteIp':
      // Nobody is trusted to say where a call came from, so it came from where the connection did.
      return decodeIp('source-ip', identifier.value, problems.at('remote_ip'))
    case 'header':
      return decodeHeader(identifier.value, problems.at('header'))
    case 'urlPath':
      return decodePath(identifier.value, problems.at('url_path'))
    case 'metadata':
      return decodeMetadata(identifier.value, problems.at('metadata'))
    default:
      problems.add(identifier.case === undefined ? 'must have an identifier' : `${identifier.case} is not supported`)
      return nothing
  }
}

function notEmpty(rules: readonly RbacRule[], problems: Problems, field: string): readonly RbacRule[] {
  if (rules.length === 0) problems.addAt(field, 'must not be empty')
  return rules
}

function decodeAny(value: boolean, problems: Problems): RbacRule {
  if (!value) problems.addAt('any', 'must be true')
  return { kind: 'any' }
}

/** Matchers of what gRPC itself sets would not see it (gRFC A41). */
function decodeHeader(message: HeaderMatcherMessage, problems: Problems): RbacRule {
  const header = decodeHeaderMatcher(message, problems)
  if (header.name === ':scheme' || header.name.startsWith('grpc-')) problems.addAt('name', `must not be ${header.name}`)
  return { kind: 'header', header }
}

function decodePath({ rule }: PathMatcher, problems: Problems): RbacRule {
  if (rule.case !== 'path') {
    problems.addAt('path', 'is required')
    return nothing
  }
  return { kind: 'path', matcher: decodeStringMatcher(rule.value, problems.at('path')) }
}

function decodeTemplate(template: string, problems: Problems): RbacRule {
  try {
    compilePathTemplate(template)
  } catch (error) {
    problems.addAt('path_template', error instanceof Error ? error.message : String(error))
  }
  return { kind: 'path-template', template }
}

function decodeIp(
  kind: 'destination-ip' | 'source-ip',
  { addressPrefix, prefixLen = 0 }: CidrRange,
  problems: Problems,
): RbacRule {
  if (parseIp(addressPrefix) === null)
    problems.addAt('address_prefix', `must be an IP address, got ${JSON.stringify(addressPrefix)}`)
  return { kind, address: addressPrefix, prefixLength: prefixLen }
}

function decodeMetadata({ filter, path, value, invert }: MetadataMatcher, problems: Problems): RbacRule {
  problems.required('filter', filter)
  const keys = path.map(({ segment }, index) => {
    if (segment.case === 'key') return segment.value
    problems.at('path', index).add('must be a key')
    return ''
  })
  if (value === undefined) problems.addAt('value', 'is required')
  const match = value === undefined ? undefined : decodeValueMatcher(value, problems.at('value'))
  if (match === undefined) return nothing
  const rule: RbacRule = { kind: 'metadata', filter, path: keys, value: match }
  return invert ? { kind: 'not', rule } : rule
}
