import { RbacEngine } from '../policies/rbac/rbac-engine.ts'
import type { RbacFilter } from '../policies/rbac/rules.ts'
import type { Denial } from './denial.ts'
import type { RequestFilter } from './request-filters.ts'
import type { RequestView } from './request-view.ts'

/** What Envoy answers. */
const message = 'RBAC: access denied'

/** The filter `envoy.filters.http.rbac` of a server. */
export class RbacRequestFilter implements RequestFilter {
  readonly #name: string
  readonly #rules: RbacEngine | null
  readonly #shadow: RbacEngine | null

  /** @throws Error when a rule cannot be compiled */
  constructor(name: string, { rules, shadowRules }: RbacFilter) {
    this.#name = name
    this.#rules = rules === undefined ? null : new RbacEngine(rules)
    this.#shadow = shadowRules === undefined ? null : new RbacEngine(shadowRules)
  }

  judge(request: RequestView): Denial | null {
    if (this.#shadow !== null) {
      const { allowed, policy } = this.#shadow.evaluate(request)
      request.noteShadow(this.#name, allowed, policy)
    }
    if (this.#rules === null) return null
    const { allowed, policy } = this.#rules.evaluate(request)
    if (this.#rules.action === 'log') {
      if (policy !== '') request.noteAudit(this.#name, policy)
      return null
    }
    if (allowed) return null
    const reason = policy === '' ? `no policy of ${this.#name} allows it` : `policy ${policy} of ${this.#name} denies it`
    return { statusCode: 403, grpcStatus: 7, message, reason }
  }
}
