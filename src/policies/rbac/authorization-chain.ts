import type { InboundAttributes } from './inbound-attributes.ts'
import { type RbacDecision, RbacEngine, type RbacVerdict } from './rbac-engine.ts'
import { denyEverything, type RbacFilter } from './rbac-rules.ts'

/** One filter of a chain. */
export interface AuthorizationFilter {
  /** As configured, to be told apart in reports. */
  readonly name: string
  /** `undefined`: it could not be read, and so lets nobody in. */
  readonly rbac: RbacFilter | undefined
  /** For Istio's CUSTOM action: decides the requests that match the shadow rules, which it makes rules of. */
  readonly custom?: CustomAuthorizer | undefined
}

/** Asks somebody else (`envoy.filters.http.ext_authz`). A throw or a rejection denies; to fail open is its own to decide. */
export type CustomAuthorizer = (request: InboundAttributes) => CustomDecision | Promise<CustomDecision>

/** What the other one says. */
export interface CustomDecision {
  readonly allowed: boolean
  /** HTTP status of a denial; default 403. */
  readonly status?: number
  /** Body of a denial; default empty, as Envoy's. */
  readonly body?: string
}

/** Whether a request may go on to the application. */
export type AuthorizationResult = { readonly allowed: true } | AuthorizationDenial

/** How a request is refused. */
export interface AuthorizationDenial {
  readonly allowed: false
  /** HTTP status: 403 unless an external authorizer says otherwise. */
  readonly status: number
  /** gRPC status: 7, PERMISSION_DENIED. */
  readonly grpcStatus: 7
  /** Body of an HTTP answer and message of a gRPC status. */
  readonly body: string
  /** The filter that refused. */
  readonly filterName: string
  /** The policy that did, `undefined` when none allowed it or the filter failed. */
  readonly policyName: string | undefined
  /** `%RESPONSE_CODE_DETAILS%`, as Envoy words it. */
  readonly details: string
  /** What was thrown, when that is why. */
  readonly error: unknown
}

/** Told of what is not enforced; must not throw. */
export interface AuthorizationObserver {
  /** A policy of the action AUDIT matched. */
  audited?(filterName: string, policyName: string): void
  /** Rules in dry run gave a verdict. */
  shadowed?(filterName: string, verdict: RbacVerdict): void
}

const allowed: AuthorizationResult = Object.freeze({ allowed: true })

/** Order of evaluation (Istio): CUSTOM, AUDIT, DENY, ALLOW. */
const order = { CUSTOM: 0, LOG: 1, DENY: 2, ALLOW: 3 } as const

interface Link {
  readonly name: string
  readonly engine: RbacEngine
  readonly custom: CustomAuthorizer | undefined
  readonly rank: number
}

/**
 * All authorization of one route or listener: every filter must let a request pass, so that a DENY wins over any ALLOW in whatever order
 * they were configured. Evaluated in Istio's order, so that what is reported does not depend on theirs either.
 * Immutable: a request keeps the chain it began with.
 */
export class AuthorizationChain {
  readonly #links: readonly Link[]
  readonly #observer: AuthorizationObserver

  /** @throws Error when a regex or a template is none, which decoders have checked */
  constructor(filters: readonly AuthorizationFilter[], observer: AuthorizationObserver = {}) {
    this.#links = filters.flatMap(linksOf).sort((a, b) => a.rank - b.rank)
    this.#observer = observer
  }

  /** Whether it has nothing to say, as without any filter. */
  get isEmpty(): boolean {
    return this.#links.length === 0
  }

  /** Decides; a promise only when an external authorizer is asked and takes its time. Neither throws nor rejects. */
  authorize(request: InboundAttributes): AuthorizationResult | Promise<AuthorizationResult> {
    return this.#authorizeFrom(0, request)
  }

  #authorizeFrom(start: number, request: InboundAttributes): AuthorizationResult | Promise<AuthorizationResult> {
    for (let index = start; index < this.#links.length; index++) {
      const link = this.#links[index]
      if (link === undefined) break
      const decision = link.engine.evaluate(request)
      if (link.custom === undefined) {
        this.#report(link, decision)
        if (!decision.allowed) return denialOf(link.name, decision)
        continue
      }
      if (decision.error !== undefined) return denialOf(link.name, { ...decision, allowed: false })
      if (decision.policyName === undefined) continue
      const result = askCustom(link.name, link.custom, decision, request)
      if (result instanceof Promise) {
        return result.then(settled => (settled.allowed ? this.#authorizeFrom(index + 1, request) : settled))
      }
      if (!result.allowed) return result
    }
    return allowed
  }

  #report({ name, engine }: Link, { policyName, shadow }: RbacDecision): void {
    if (engine.action === 'LOG' && policyName !== undefined) this.#observer.audited?.(name, policyName)
    if (shadow !== undefined) this.#observer.shadowed?.(name, shadow)
  }
}

function linksOf({ name, rbac, custom }: AuthorizationFilter): readonly Link[] {
  if (rbac === undefined || custom === undefined) return [enforced(name, rbac ?? denyEverything)]
  const { rules, shadowRules } = rbac
  // Whoever matches is asked about, whatever the action of the rules says.
  const whom = new RbacEngine({ ...rbac, rules: shadowRules && { ...shadowRules, action: 'LOG' }, shadowRules: undefined })
  const link = { name, engine: whom, custom, rank: order.CUSTOM }
  return rules === undefined ? [link] : [link, enforced(name, { ...rbac, shadowRules: undefined })]
}

function enforced(name: string, rbac: RbacFilter): Link {
  const engine = new RbacEngine(rbac)
  return { name, engine, custom: undefined, rank: order[engine.action ?? 'LOG'] }
}

const forbidden = { status: 403, grpcStatus: 7, body: 'RBAC: access denied' } as const

function denialOf(filterName: string, { policyName, error }: RbacVerdict): AuthorizationDenial {
  const details = `rbac_access_denied_matched_policy[${(policyName ?? 'none').replace(/\s/g, '_')}]`
  return { allowed: false, ...forbidden, filterName, policyName, details, error }
}

function askCustom(
  filterName: string,
  custom: CustomAuthorizer,
  { policyName }: RbacVerdict,
  request: InboundAttributes,
): AuthorizationResult | Promise<AuthorizationResult> {
  const denial = (status: number, body: string, details: string, error?: unknown): AuthorizationDenial => ({
    allowed: false,
    ...forbidden,
    status,
    body,
    filterName,
    policyName,
    details,
    error,
  })
  const failed = (error: unknown) => denial(403, '', 'ext_authz_error', error)
  const resultOf = (decision: CustomDecision) =>
    decision.allowed === true ? allowed : denial(decision.status ?? 403, decision.body ?? '', 'ext_authz_denied')
  try {
    const decision = custom(request)
    return decision instanceof Promise ? decision.then(resultOf).catch(failed) : resultOf(decision)
  } catch (error) {
    return failed(error)
  }
}
