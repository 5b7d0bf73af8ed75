import type { GatewayRoute, GatewayRule } from './gateway-route.ts'

/** A rule and where it comes from. */
export interface MergedRule {
  readonly route: GatewayRoute
  readonly rule: GatewayRule
}

/** The rules of routes that rule the same calls, in the order in which they match: by precedence, then by route, then as written. */
export function mergeRules(routes: readonly GatewayRoute[]): readonly MergedRule[] {
  const all = routes.flatMap(route => route.rules.map(rule => ({ route, rule })))
  return all.sort((a, b) => comparePrecedence(a.rule.precedence, b.rule.precedence))
}

/** What is not there counts as 0. */
function comparePrecedence(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const difference = (b[index] ?? 0) - (a[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
