import type { HeaderMatcher } from '../../src/policies/header-matcher.ts'
import type { ValueMatcher } from '../../src/policies/rbac/metadata-matcher.ts'
import type {
  Permission,
  Principal,
  RbacAction,
  RbacFilter,
  RbacPolicy,
  RbacRules,
  SharedRule,
} from '../../src/policies/rbac/rbac-rules.ts'
import type { StringMatcher } from '../../src/policies/string-matcher.ts'

export const exact = (value: string): StringMatcher => ({ kind: 'exact', value, ignoreCase: false })
export const prefix = (value: string): StringMatcher => ({ kind: 'prefix', value, ignoreCase: false })
export const regex = (text: string): StringMatcher => ({ kind: 'regex', regex: text })

/** A matcher of a header's value, exact unless said otherwise. */
export function header(name: string, value: string | StringMatcher, more: Partial<HeaderMatcher> = {}): SharedRule {
  const matcher = typeof value === 'string' ? exact(value) : value
  return {
    kind: 'header',
    matcher: { name, match: { kind: 'string', matcher }, invert: false, treatMissingAsEmpty: false, ...more },
  }
}

export const not = <Rule>(rule: Rule) => ({ kind: 'not', rule }) as const
export const anything = { kind: 'any' } as const
export const path = (matcher: StringMatcher): SharedRule => ({ kind: 'url-path', matcher })
export const named = (name: StringMatcher): Principal => ({ kind: 'authenticated', name })

/** A claim of the verified token. */
export const claim = (keys: readonly string[], value: ValueMatcher, invert = false): SharedRule => ({
  kind: 'metadata',
  matcher: { filter: 'envoy.filters.http.jwt_authn', path: ['payload', ...keys], value, invert },
})

/** A policy of anybody doing anything, unless said otherwise. */
export function policy(permission: Permission = anything, principal: Principal = anything, name = 'policy'): RbacPolicy {
  return { name, permissions: [permission], principals: [principal] }
}

export const rules = (action: RbacAction, ...policies: readonly RbacPolicy[]): RbacRules => ({ action, policies })

/** A filter that enforces. */
export const enforce = (action: RbacAction, ...policies: readonly RbacPolicy[]): RbacFilter => ({
  rules: rules(action, ...policies),
  shadowRules: undefined,
  shadowRulesStatPrefix: '',
})
