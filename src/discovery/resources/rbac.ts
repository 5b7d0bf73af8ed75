import type { Any } from '@bufbuild/protobuf/wkt'
import type { RbacAction, RbacFilter, RbacPolicy, RbacRules } from '../../policies/rbac/rbac-rules.ts'
import type { Policy, RBAC as Rules } from '../gen/envoy/config/rbac/v3/rbac_pb.ts'
import type { RBAC } from '../gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.ts'
import { RBAC_Action as Action } from '../gen/tables.ts'
import { rbacPerRouteType, rbacType } from '../message-types.ts'
import { readTypedConfig, typeName } from './any.ts'
import { decodeAuditLogging } from './audit-logging.ts'
import type { Problems } from './problems.ts'
import { decodePermission, decodePrincipal } from './rbac-rule.ts'
import { refuseUnknownFields } from './unknown-fields.ts'

/** What `RBACPerRoute` without `rbac` puts in place of the filter's own configuration. */
const nothingEnforced: RbacFilter = { rules: undefined, shadowRules: undefined, shadowRulesStatPrefix: '' }

/** Whether `decodeRbac` is for it: the filter's configuration, or a route's override. */
export function isRbac(type: string): boolean {
  return type === rbacType.typeName || type === rbacPerRouteType.typeName
}

/** Whether it is the filter's configuration. */
export function isRbacFilter(type: string): boolean {
  return type === rbacType.typeName
}

/**
 * Decodes `envoy.extensions.filters.http.rbac.v3.RBAC` and `RBACPerRoute` (gRFC A41). Whatever would be lost by leaving it out is an error:
 * a field of a newer version, a condition in CEL, a matcher tree.
 *
 * @returns `undefined` when there was a problem: such a filter must let nobody in
 */
export function decodeRbac(any: Any | undefined, problems: Problems): RbacFilter | undefined {
  const before = problems.found.length
  const filter = decodeEither(any, problems)
  return problems.found.length === before ? filter : undefined
}

function decodeEither(any: Any | undefined, problems: Problems): RbacFilter | undefined {
  const typed = readTypedConfig(any)
  if (!isRbac(typed.type)) problems.add(`must be an RBAC, got "${typed.type}"`)
  // Of JSON it cannot be told which fields were not known.
  else if (typed.type !== typeName(any?.typeUrl ?? '')) problems.add('must not be a TypedStruct')
  else if (typed.type === rbacType.typeName) {
    const message = typed.as(rbacType, problems)
    return message && decodeFilter(message, problems)
  } else {
    const message = typed.as(rbacPerRouteType, problems)
    if (message !== undefined) refuseUnknownFields(message, problems)
    return message?.rbac === undefined ? nothingEnforced : decodeFilter(message.rbac, problems.at('rbac'))
  }
  return undefined
}

function decodeFilter(message: RBAC, problems: Problems): RbacFilter {
  refuseUnknownFields(message, problems)
  if (message.matcher !== undefined) problems.addAt('matcher', 'is not supported')
  if (message.shadowMatcher !== undefined) problems.addAt('shadow_matcher', 'is not supported')
  return {
    rules: message.rules && decodeRules(message.rules, problems.at('rules')),
    shadowRules: message.shadowRules && decodeRules(message.shadowRules, problems.at('shadow_rules')),
    shadowRulesStatPrefix: message.shadowRulesStatPrefix,
  }
}

const actions: Readonly<Record<number, RbacAction>> = { [Action.ALLOW]: 'ALLOW', [Action.DENY]: 'DENY', [Action.LOG]: 'LOG' }

function decodeRules(message: Rules, problems: Problems): RbacRules {
  // Protocol buffers keep numbers that the enum lacks.
  const action: RbacAction | undefined = actions[message.action]
  if (action === undefined) problems.addAt('action', `must be ALLOW, DENY or LOG, got ${message.action}`)
  const audit =
    message.auditLoggingOptions && decodeAuditLogging(message.auditLoggingOptions, problems.at('audit_logging_options'))
  return {
    action: action ?? 'ALLOW',
    ...(audit === undefined ? {} : { audit }),
    policies: Object.entries(message.policies).map(([name, policy]) =>
      decodePolicy(name, policy, problems.at(`policies["${name}"]`)),
    ),
  }
}

function decodePolicy(name: string, message: Policy, problems: Problems): RbacPolicy {
  if (message.condition !== undefined) problems.addAt('condition', 'is not supported')
  if (message.checkedCondition !== undefined) problems.addAt('checked_condition', 'is not supported')
  if (message.permissions.length === 0) problems.addAt('permissions', 'must not be empty')
  if (message.principals.length === 0) problems.addAt('principals', 'must not be empty')
  return {
    name,
    permissions: message.permissions.map((each, index) => decodePermission(each, problems.at('permissions', index))),
    principals: message.principals.map((each, index) => decodePrincipal(each, problems.at('principals', index))),
  }
}
