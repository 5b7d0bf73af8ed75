import { any, compilePermission, compilePrincipal } from './compile-rules.ts'
import type { InboundAttributes } from './inbound-attributes.ts'
import type { RbacAction, RbacFilter, RbacPolicy, RbacRules } from './rbac-rules.ts'
import type { RequestMatches } from './request-header.ts'

/** What one set of rules says of a request. */
export interface RbacVerdict {
  readonly allowed: boolean
  /** The first policy, in the order of the names, that matched; `undefined` when none did. */
  readonly policyName: string | undefined
  /** What was thrown instead of an answer; the request is then denied, unless the rules only log. */
  readonly error: unknown
}

/** What a filter says of a request. */
export interface RbacDecision extends RbacVerdict {
  /** What the shadow rules would have said; `undefined` without any. */
  readonly shadow: RbacVerdict | undefined
}

/**
 * Evaluates one RBAC filter (`envoy.extensions.filters.http.rbac.v3.RBAC`, gRFC A41). Compiled once; an evaluation is a walk over
 * closures and gives an object made beforehand, unless there are shadow rules. It never throws: who cannot tell denies.
 *
 * @throws Error when a regex or a template is none, which decoders have checked
 */
export class RbacEngine {
  readonly #rules: CompiledRules | undefined
  readonly #shadow: CompiledRules | undefined

  constructor({ rules, shadowRules }: RbacFilter) {
    this.#rules = rules && new CompiledRules(rules)
    this.#shadow = shadowRules && new CompiledRules(shadowRules)
  }

  /** What a policy that matches means; `undefined` where nothing is enforced. */
  get action(): RbacAction | undefined {
    return this.#rules?.action
  }

  evaluate(request: InboundAttributes): RbacDecision {
    const decision = this.#rules?.evaluate(request) ?? notEnforced
    return this.#shadow === undefined ? decision : { ...decision, shadow: this.#shadow.evaluate(request) }
  }
}

const decisionOf = (allowed: boolean, policyName: string | undefined, error?: unknown): RbacDecision =>
  Object.freeze({ allowed, policyName, error, shadow: undefined })

const notEnforced = decisionOf(true, undefined)

interface CompiledPolicy {
  readonly matches: RequestMatches
  readonly decision: RbacDecision
}

class CompiledRules {
  readonly action: RbacAction
  readonly #policies: readonly CompiledPolicy[]
  readonly #unmatched: RbacDecision

  constructor({ action, policies }: RbacRules) {
    this.action = action
    // By code unit, which is the order of bytes in all names that Istio makes.
    this.#policies = [...policies].sort((a, b) => (a.name < b.name ? -1 : 1)).map(policy => compilePolicy(policy, action))
    this.#unmatched = decisionOf(action !== 'ALLOW', undefined)
  }

  evaluate(request: InboundAttributes): RbacDecision {
    try {
      for (const { matches, decision } of this.#policies) if (matches(request)) return decision
      return this.#unmatched
    } catch (error) {
      return decisionOf(this.action === 'LOG', undefined, error)
    }
  }
}

function compilePolicy({ name, permissions, principals }: RbacPolicy, action: RbacAction): CompiledPolicy {
  const polarity = action === 'ALLOW' ? 'narrows' : 'widens'
  const permitted = any(permissions.map(each => compilePermission(each, polarity)))
  const isPrincipal = any(principals.map(each => compilePrincipal(each, polarity)))
  return {
    matches: request => permitted(request) && isPrincipal(request),
    decision: decisionOf(action !== 'DENY', name),
  }
}
