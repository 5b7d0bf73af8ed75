import { compilePathTemplate } from '../../policies/path-template.ts'
import type { Permission, Principal, SharedRule } from '../../policies/rbac/rbac-rules.ts'
import type { TypedExtensionConfig } from '../gen/envoy/config/core/v3/extension_pb.ts'
import type { Permission as PermissionMessage, Principal as PrincipalMessage } from '../gen/envoy/config/rbac/v3/rbac_pb.ts'
import type { HeaderMatcher as HeaderMatcherMessage } from '../gen/envoy/config/route/v3/route_components_pb.ts'
import type { PathMatcher } from '../gen/envoy/type/matcher/v3/path_pb.ts'
import { uriTemplateMatchConfigType } from '../message-types.ts'
import { readTypedConfig } from './any.ts'
import { decodeCidrRange } from './cidr-range.ts'
import { decodeHeaderMatcher } from './header-matcher.ts'
import { decodeMetadataMatcher } from './metadata-matcher.ts'
import type { Problems } from './problems.ts'
import { decodeStringMatcher } from './string-matcher.ts'

/** In place of a rule that cannot be decoded; the problem that goes with it refuses the whole. */
const unreadable = { kind: 'any' } as const

/** Decodes `envoy.config.rbac.v3.Permission`. */
export function decodePermission({ rule }: PermissionMessage, problems: Problems): Permission {
  switch (rule.case) {
    case 'andRules':
      return { kind: 'and', rules: decodeSet(rule.value.rules, decodePermission, problems.at('and_rules'), 'rules') }
    case 'orRules':
      return { kind: 'or', rules: decodeSet(rule.value.rules, decodePermission, problems.at('or_rules'), 'rules') }
    case 'notRule':
      return { kind: 'not', rule: decodePermission(rule.value, problems.at('not_rule')) }
    case 'any':
      return decodeAny(rule.value, problems)
    case 'header':
      return decodeHeader(rule.value, problems.at('header'))
    case 'urlPath':
      return decodeUrlPath(rule.value, problems.at('url_path'))
    case 'metadata':
      return { kind: 'metadata', matcher: decodeMetadataMatcher(rule.value, problems.at('metadata')) }
    case 'destinationIp':
      return { kind: 'destination-ip', range: decodeCidrRange(rule.value, problems.at('destination_ip')) }
    case 'destinationPort': {
      const port = rule.value
      if (port > 65_535) problems.addAt('destination_port', `must be <= 65535, got ${port}`)
      return { kind: 'destination-port', start: port, end: port + 1 }
    }
    case 'destinationPortRange': {
      const { start, end } = rule.value
      if (start < 0 || end > 65_536 || start >= end)
        problems.addAt('destination_port_range', `must be a range of ports [start, end), got [${start}, ${end})`)
      return { kind: 'destination-port', start, end }
    }
    case 'requestedServerName':
      return { kind: 'requested-server-name', matcher: decodeStringMatcher(rule.value, problems.at('requested_server_name')) }
    case 'uriTemplate':
      return { kind: 'uri-template', template: decodeTemplate(rule.value, problems.at('uri_template')) }
    case 'matcher':
      problems.addAt('matcher', `is not supported: "${rule.value.name}"`)
      return unreadable
    default:
      problems.addAt('rule', 'is required, and of a kind that is known here')
      return unreadable
  }
}

/** Decodes `envoy.config.rbac.v3.Principal`. */
export function decodePrincipal({ identifier }: PrincipalMessage, problems: Problems): Principal {
  switch (identifier.case) {
    case 'andIds':
      return { kind: 'and', rules: decodeSet(identifier.value.ids, decodePrincipal, problems.at('and_ids'), 'ids') }
    case 'orIds':
      return { kind: 'or', rules: decodeSet(identifier.value.ids, decodePrincipal, problems.at('or_ids'), 'ids') }
    case 'notId':
      return { kind: 'not', rule: decodePrincipal(identifier.value, problems.at('not_id')) }
    case 'any':
      return decodeAny(identifier.value, problems)
    case 'authenticated': {
      const { principalName } = identifier.value
      const at = problems.at('authenticated').at('principal_name')
      return { kind: 'authenticated', name: principalName && decodeStringMatcher(principalName, at) }
    }
    case 'sourceIp':
      return { kind: 'remote-ip', range: decodeCidrRange(identifier.value, problems.at('source_ip')) }
    case 'directRemoteIp':
      return { kind: 'remote-ip', range: decodeCidrRange(identifier.value, problems.at('direct_remote_ip')) }
    case 'remoteIp':
      return { kind: 'remote-ip', range: decodeCidrRange(identifier.value, problems.at('remote_ip')) }
    case 'header':
      return decodeHeader(identifier.value, problems.at('header'))
    case 'urlPath':
      return decodeUrlPath(identifier.value, problems.at('url_path'))
    case 'metadata':
      return { kind: 'metadata', matcher: decodeMetadataMatcher(identifier.value, problems.at('metadata')) }
    case 'filterState':
      problems.addAt('filter_state', `is not supported: "${identifier.value.key}"`)
      return unreadable
    default:
      problems.addAt('identifier', 'is required, and of a kind that is known here')
      return unreadable
  }
}

function decodeSet<Message, Rule>(
  messages: readonly Message[],
  decode: (message: Message, problems: Problems) => Rule,
  problems: Problems,
  field: string,
): readonly Rule[] {
  if (messages.length === 0) problems.addAt(field, 'must not be empty')
  return messages.map((message, index) => decode(message, problems.at(field, index)))
}

function decodeAny(value: boolean, problems: Problems): SharedRule {
  if (!value) problems.addAt('any', 'must be true')
  return { kind: 'any' }
}

function decodeHeader(message: HeaderMatcherMessage, problems: Problems): SharedRule {
  const matcher = decodeHeaderMatcher(message, problems)
  // What the transport itself makes of a request must not decide about it (gRFC A41).
  if (matcher.name.startsWith('grpc-') || matcher.name === ':scheme')
    problems.addAt('name', `must be none of grpc-* and :scheme, got "${message.name}"`)
  return { kind: 'header', matcher }
}

function decodeUrlPath({ rule }: PathMatcher, problems: Problems): SharedRule {
  if (rule.case === 'path') return { kind: 'url-path', matcher: decodeStringMatcher(rule.value, problems.at('path')) }
  problems.addAt('path', 'is required')
  return unreadable
}

function decodeTemplate({ typedConfig }: TypedExtensionConfig, problems: Problems): string {
  const typed = readTypedConfig(typedConfig)
  if (typed.type !== uriTemplateMatchConfigType.typeName) {
    problems.add(`"${typed.type}" is not supported`)
    return '/'
  }
  const template = typed.as(uriTemplateMatchConfigType, problems)?.pathTemplate ?? ''
  try {
    compilePathTemplate(template)
  } catch (error) {
    problems.addAt('path_template', `"${template}" ${error instanceof Error ? error.message : String(error)}`)
  }
  return template
}
