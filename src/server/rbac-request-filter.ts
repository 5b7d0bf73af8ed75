import { AuditTrail } from '../policies/rbac/audit-trail.ts'
import { type RbacDecision, RbacEngine, type RbacVerdict } from '../policies/rbac/rbac-engine.ts'
import type { RbacFilter } from '../policies/rbac/rbac-rules.ts'
import type { Denial } from './denial.ts'
import type { RequestFilter } from './request-filters.ts'
import type { RequestView } from './request-view.ts'

/** Of shadow rules that say whom an external authorizer is asked about (Istio's action CUSTOM). */
const customPrefix = 'istio_ext_authz_'

/** What Envoy answers. */
const message = 'RBAC: access denied'

/** The filter `envoy.filters.http.rbac` of a server. */
export class RbacRequestFilter implements RequestFilter {
  readonly #name: string
  readonly #engine: RbacEngine
  readonly #audit: AuditTrail | null
  readonly #shadowPrefix: string

  /** @throws Error when a rule cannot be compiled, or an audit logger not be made */
  constructor(name: string, rbac: RbacFilter) {
    this.#name = name
    this.#engine = new RbacEngine(rbac)
    const audit = rbac.rules?.audit
    // A filter that only logs decides nothing (gRFC A41).
    this.#audit = audit === undefined || rbac.rules?.action === 'LOG' ? null : new AuditTrail(name, audit)
    this.#shadowPrefix = rbac.shadowRulesStatPrefix
  }

  judge(request: RequestView): Denial | null {
    const decision = this.#engine.evaluate(request.attributes)
    const { allowed, policyName, shadow } = decision
    if (shadow !== undefined) this.#leave(request, shadow)
    if (this.#engine.action === 'LOG' && policyName !== undefined) request.note('audit', this.#name, true, policyName)
    const failure = this.#audit?.record(decision, request.attributes)
    if (failure !== undefined) request.note('audit-failure', this.#name, allowed, failure)
    return allowed ? null : { statusCode: 403, grpcStatus: 7, message, reason: this.#reasonOf(decision) }
  }

  /** What the shadow rules said, for later filters, and for the operator where it is a dry run. */
  #leave(request: RequestView, { allowed, policyName, error }: RbacVerdict): void {
    const prefix = this.#shadowPrefix
    request.addMetadata('envoy.filters.http.rbac', {
      [`${prefix}shadow_engine_result`]: allowed ? 'allowed' : 'denied',
      ...(policyName === undefined ? undefined : { [`${prefix}shadow_effective_policy_id`]: policyName }),
    })
    if (error !== undefined) request.hasLostMetadata = true
    if (prefix !== customPrefix) request.note('shadow', this.#name, allowed, policyName)
  }

  #reasonOf({ policyName, error }: RbacDecision): string {
    if (error !== undefined) return `${this.#name} failed: ${error instanceof Error ? error.message : String(error)}`
    return policyName === undefined ? `no policy of ${this.#name} allows it` : `policy ${policyName} of ${this.#name} denies it`
  }
}
