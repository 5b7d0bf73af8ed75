import type { GatewayRule } from '../../model/gateway-route.ts'
import type { ObjectMeta } from '../../model/object-meta.ts'
import type { HttpForward, HttpRoute } from '../../model/virtual-service.ts'
import type { Value } from '../value.ts'
import { checkCount } from './check-count.ts'
import type { RankedMatch } from './read-gateway-http-match.ts'

/** Most rules of a route, matches of a rule, and matches of a route. */
const maxRules = 16
const maxMatches = 64
const maxAllMatches = 128

/** What a rule does with a call that one of its matches fits. */
export type RuleAction = Pick<HttpRoute, 'action' | 'headers'>

/** What one kind of route has in its rules. */
export interface RuleKind {
  /** What a rule without matches has. */
  readonly everything: RankedMatch
  readMatch(value: Value): RankedMatch
  /** Reads what the rule does; for each match anew, as it may depend on the path. */
  readAction(rule: Value, match: RankedMatch, isOnlyMatch: boolean): RuleAction
}

/** Reads `rules`, one by one and match by match. A rule without name is called by the route and its place in it, as Istio does. */
export function readRules(value: Value, meta: ObjectMeta, kind: RuleKind): readonly GatewayRule[] {
  checkCount(value, maxRules)
  const names = new Set<string>()
  const rules = value.items().flatMap((item, index) => {
    const name = readName(item.required().field('name'), names) ?? `${meta.namespace}.${meta.name}.${index}`
    const matches = readMatches(item.field('matches'), kind)
    return matches.map(match => {
      const action = kind.readAction(item, match, matches.length === 1)
      const route: HttpRoute = { name, matches: [match.match], ...action, fault: undefined, cors: undefined }
      return { index, precedence: match.precedence, route }
    })
  })
  if (rules.length > maxAllMatches) value.error(`must have at most ${maxAllMatches} matches in all rules, got ${rules.length}`)
  return rules
}

/** Forwards, or answers what the Gateway API wants where no backend has a weight: 500, and over gRPC UNAVAILABLE. */
export function forwardOrRefuse(forward: HttpForward): HttpRoute['action'] {
  if (forward.destinations.length > 0) return forward
  return { kind: 'direct-response', status: forward.missingStatus, body: '' }
}

function readMatches(value: Value, kind: RuleKind): readonly RankedMatch[] {
  checkCount(value, maxMatches)
  const matches = value.items().map(item => kind.readMatch(item))
  return matches.length > 0 ? matches : [kind.everything]
}

function readName(value: Value, names: Set<string>): string | undefined {
  const name = value.asString()
  if (name === undefined) return undefined
  if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name))
    value.error(`must be lower-case letters, digits, hyphens and dots: ${JSON.stringify(name)}`)
  if (names.has(name)) value.error(`is the name of another rule: ${name}`)
  names.add(name)
  return name
}
