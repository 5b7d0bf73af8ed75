import { compareText } from '../../model/object-meta.ts'
import type { JwtRule, RequestAuthentication } from '../../model/request-authentication.ts'
import { defaultRootNamespace, type PolicyScope, type PolicyTarget, selectedPolicies } from './selected-policies.ts'

/** What verifies the tokens of a workload's callers. A token that is there must be one of a provider's; none is fine. */
export interface RequestAuthenticationFilter {
  /** In the order of the issuers. */
  readonly providers: readonly JwtProvider[]
}

/** One issuer. Its payload is metadata of `envoy.filters.http.jwt_authn` under `payload`. */
export interface JwtProvider extends JwtRule {
  /** `origins-<index>`, as Istio names them. */
  readonly name: string
}

/** Puts together the rules of all policies for a workload; `undefined` without any. */
export function requestAuthenticationFilter(
  workload: PolicyTarget,
  policies: readonly RequestAuthentication[],
  { rootNamespace = defaultRootNamespace }: PolicyScope = {},
): RequestAuthenticationFilter | undefined {
  const rules = selectedPolicies(workload, policies, rootNamespace).flatMap(({ jwtRules }) => jwtRules)
  if (rules.length === 0) return undefined
  const sorted = [...rules].sort((a, b) => compareText(a.issuer, b.issuer))
  return { providers: sorted.map((rule, index) => ({ ...rule, name: `origins-${index}` })) }
}
