import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { RBAC_Action as Action, type PolicySchema, type RBACSchema as RulesSchema } from 'inmesh/gen/envoy/config/rbac/v3/rbac_pb'
import { RBACSchema } from 'inmesh/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb'
import {
  type HttpFilter,
  HttpFilterSchema,
} from 'inmesh/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb'
import type { AuthorizationPolicy } from '../../model/authorization-policy.ts'
import type { ExtensionProvider } from '../../model/extension-provider.ts'
import type { MeshService } from '../../model/mesh-service.ts'
import { compareText } from '../../model/object-meta.ts'
import { pack } from '../config-source.ts'
import { extAuthzFilter, policyPrefix, shadowStatPrefix } from './ext-authz-filter.ts'
import { type RuleContext, rulePolicy } from './rule-policy.ts'
import { defaultRootNamespace, type PolicyScope, type PolicyTarget, selectedPolicies } from './selected-policies.ts'
import { TrustDomains } from './trust-domains.ts'

/** Name of every filter of authorization. */
export const rbacFilterName = 'envoy.filters.http.rbac'

/** For whom, and on what, filters are made. */
export interface AuthorizationOptions extends PolicyScope {
  /** `tcp`: on a port that is not known to be HTTP. Default `http`. */
  readonly protocol?: RuleContext['protocol']
  /** External authorizers. Default none: what a CUSTOM policy matches is denied. */
  readonly authorizers?: Authorizers
  /** What verifies tokens: goes behind CUSTOM, which asks about the request as it came. Default none. */
  readonly tokenFilter?: HttpFilter | undefined
}

/** What {@link authorizationFilters} knows of external authorizers. */
export interface Authorizers {
  readonly extensionProviders: ReadonlyMap<string, ExtensionProvider>
  readonly services: ReadonlyMap<string, MeshService>
}

const noAuthorizers: Authorizers = { extensionProviders: new Map(), services: new Map() }

type Rules = MessageInitShape<typeof RulesSchema>
type Policy = MessageInitShape<typeof PolicySchema>

/** What matches nothing: a policy without rules. */
const never: Policy = {
  permissions: [{ rule: { case: 'notRule', value: { rule: { case: 'any', value: true } } } }],
  principals: [{ identifier: { case: 'notId', value: { identifier: { case: 'any', value: true } } } }],
}

/**
 * The HTTP filters that enforce the policies for a workload, as Istio's pilot makes them (August 2026) and in its order: CUSTOM, tokens, AUDIT, DENY, ALLOW.
 * None without policies, and then everything is allowed. What a CUSTOM policy matches is denied where its provider is not known.
 */
export function authorizationFilters(
  workload: PolicyTarget,
  policies: readonly AuthorizationPolicy[],
  options: AuthorizationOptions = {},
): readonly HttpFilter[] {
  const {
    rootNamespace = defaultRootNamespace,
    trustDomain = 'cluster.local',
    trustDomainAliases = [],
    protocol = 'http',
    authorizers = noAuthorizers,
    tokenFilter,
  } = options
  const selected = selectedPolicies(workload, policies, rootNamespace)
  const of = (action: AuthorizationPolicy['action']) => selected.filter(policy => policy.action === action)
  const build = { trustDomains: new TrustDomains(trustDomain, trustDomainAliases), protocol }
  return [
    ...custom(of('CUSTOM'), build, authorizers),
    ...(tokenFilter === undefined ? [] : [tokenFilter]),
    ...enforced(of('AUDIT'), Action.LOG, build),
    ...enforced(of('DENY'), Action.DENY, build),
    ...enforced(of('ALLOW'), Action.ALLOW, build),
  ]
}

type Build = Pick<RuleContext, 'trustDomains' | 'protocol'>

/** Prefix of the statistics of a dry run; Istio gives that of ALLOW where there is none, and it has no effect. */
function dryRunPrefix(action: Action, hasDryRun: boolean): string {
  if (!hasDryRun || action === Action.ALLOW) return 'istio_dry_run_allow_'
  return action === Action.DENY ? 'istio_dry_run_deny_' : ''
}

function enforced(policies: readonly AuthorizationPolicy[], action: Action, build: Build): HttpFilter[] {
  if (policies.length === 0) return []
  const dryRun = policies.filter(({ isDryRun }) => isDryRun)
  const real = policies.filter(({ isDryRun }) => !isDryRun)
  return [
    rbacFilter({
      ...(real.length > 0 ? { rules: rulesOf(real, action, build) } : {}),
      ...(dryRun.length > 0 ? { shadowRules: rulesOf(dryRun, action, build) } : {}),
      shadowRulesStatPrefix: dryRunPrefix(action, dryRun.length > 0),
    }),
  ]
}

/** For each external authorizer, in the order of their names, the shadow rules that say what it is asked about, and the filter that asks. */
function custom(policies: readonly AuthorizationPolicy[], build: Build, authorizers: Authorizers): HttpFilter[] {
  const providers = [...new Set(policies.map(({ provider }) => provider))].sort(compareText)
  return providers.flatMap(name => {
    const own = policies.filter(({ provider }) => provider === name)
    const provider = authorizers.extensionProviders.get(name)
    const filter = provider && extAuthzFilter(provider, authorizers.services)
    const rename = (plain: string) => `${policyPrefix(name)}${plain}`
    if (filter === undefined)
      return [rbacFilter({ rules: rulesOf(own, Action.DENY, build, plain => `${rename(plain)}-deny-due-to-bad-CUSTOM-action`) })]
    const shadowRules = rulesOf(own, Action.DENY, build, rename)
    return [rbacFilter({ shadowRules, shadowRulesStatPrefix: shadowStatPrefix }), filter]
  })
}

function rulesOf(
  policies: readonly AuthorizationPolicy[],
  action: Action,
  build: Build,
  rename: (name: string) => string = name => name,
): Rules {
  const entries = policies.flatMap(({ meta: { namespace, name }, rules }) => {
    const nameOf = (index: number) => rename(`ns[${namespace}]-policy[${name}]-rule[${index}]`)
    if (rules.length === 0) return [[nameOf(0), never] as const]
    return rules.flatMap((rule, index) => {
      const policy = rulePolicy(rule, { ...build, namespace, isAllow: action === Action.ALLOW })
      return policy === undefined ? [] : [[nameOf(index), policy] as const]
    })
  })
  return { action, policies: Object.fromEntries(entries) }
}

const rbacFilter = (config: MessageInitShape<typeof RBACSchema>): HttpFilter =>
  create(HttpFilterSchema, { name: rbacFilterName, configType: { case: 'typedConfig', value: pack(RBACSchema, config) } })
