import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  RBAC_Action as Action,
  type PermissionSchema,
  type PolicySchema,
  type PrincipalSchema,
  type RBACSchema as RulesSchema,
} from 'inmesh/gen/envoy/config/rbac/v3/rbac_pb'
import { RBACSchema } from 'inmesh/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb'
import {
  type HttpFilter,
  HttpFilterSchema,
} from 'inmesh/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb'
import { type AuthorizationPolicy, type AuthorizationRule, policiesFor } from '../model/authorization-policy.ts'
import type { WorkloadKey } from '../model/peer-authentication.ts'
import { type Context, permissionsOf, principalsOf } from './authorization-condition.ts'
import { pack } from './config-source.ts'

type Rules = MessageInitShape<typeof RulesSchema>
type Policy = MessageInitShape<typeof PolicySchema>
export type Permission = MessageInitShape<typeof PermissionSchema>
export type Principal = MessageInitShape<typeof PrincipalSchema>

const actions = { AUDIT: Action.LOG, DENY: Action.DENY, ALLOW: Action.ALLOW } as const

/**
 * The filters of a workload: what is to be told of, what is denied, what is allowed, in this order, each where a policy of the kind selects
 * it. An ALLOW policy without rules allows nothing. Names of policies are Istio's.
 */
export function authorizationFilters(
  policies: readonly AuthorizationPolicy[],
  workload: WorkloadKey,
  trustDomain: string,
): readonly HttpFilter[] {
  const own = policiesFor(policies, workload)
  return (['AUDIT', 'DENY', 'ALLOW'] as const).flatMap(action => {
    const ofAction = own.filter(policy => policy.action === action)
    if (ofAction.length === 0) return []
    const enforced = ofAction.filter(({ isDryRun }) => !isDryRun)
    const tried = ofAction.filter(({ isDryRun }) => isDryRun)
    const rbac = pack(RBACSchema, {
      ...(enforced.length > 0 ? { rules: rulesOf(action, enforced, trustDomain) } : {}),
      ...(tried.length > 0 ? { shadowRules: rulesOf(action, tried, trustDomain) } : {}),
    })
    const name = `envoy.filters.http.rbac.${action.toLowerCase()}`
    return [create(HttpFilterSchema, { name, configType: { case: 'typedConfig', value: rbac } })]
  })
}

function rulesOf(action: keyof typeof actions, policies: readonly AuthorizationPolicy[], trustDomain: string): Rules {
  const translated: Record<string, Policy> = {}
  for (const { meta, rules } of policies) {
    const context = { action, trustDomain, namespace: meta.namespace }
    for (const [index, rule] of rules.entries())
      translated[`ns[${meta.namespace}]-policy[${meta.name}]-rule[${index}]`] = policyOf(rule, context)
  }
  return { action: actions[action], policies: translated }
}

function policyOf({ from, to, when }: AuthorizationRule, context: Context): Policy {
  const always = { permissions: permissionsOf(when, context), principals: principalsOf(when, context) }
  const permissions = (to.length === 0 ? [[]] : to).map(conditions => [
    ...permissionsOf(conditions, context),
    ...always.permissions,
  ])
  const principals = (from.length === 0 ? [[]] : from).map(conditions => [
    ...principalsOf(conditions, context),
    ...always.principals,
  ])
  return {
    permissions: permissions.map(rules => ({ rule: { case: 'andRules', value: { rules: orAny(rules) } } })),
    principals: principals.map(ids => ({ identifier: { case: 'andIds', value: { ids: orAnybody(ids) } } })),
  }
}

const orAny = (rules: readonly Permission[]): Permission[] =>
  rules.length > 0 ? [...rules] : [{ rule: { case: 'any', value: true } }]

const orAnybody = (ids: readonly Principal[]): Principal[] =>
  ids.length > 0 ? [...ids] : [{ identifier: { case: 'any', value: true } }]
