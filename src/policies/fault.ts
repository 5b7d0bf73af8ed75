import type { Random } from '../runtime.ts'
import { type FractionalPercent, isSelected } from './fraction.ts'
import { type CompiledHeaderMatcher, compileHeaderMatcher, type HeaderMatcher } from './header-matcher.ts'

/** `envoy.extensions.filters.http.fault.v3.HTTPFault`, decoded. */
export interface FaultConfig {
  readonly delay:
    | { readonly fixedDelayMs: number | undefined; readonly fromHeader: boolean; readonly percentage: FractionalPercent }
    | undefined
  readonly abort:
    | {
        readonly httpStatus: number | undefined
        readonly grpcStatus: number | undefined
        readonly fromHeader: boolean
        readonly percentage: FractionalPercent
      }
    | undefined
  readonly headers: readonly HeaderMatcher[]
  readonly upstreamCluster: string
  readonly maxActiveFaults: number
}

/** What an injected abort answers. */
export interface FaultAbort {
  readonly httpStatus: number
  /** `undefined`: not a gRPC abort. A gRPC one is an HTTP 200 with this status. */
  readonly grpcStatus: number | undefined
}

/** Reads the headers of a request by lower-case name. */
export interface FaultRequest {
  header(name: string): string | readonly string[] | undefined
}

/**
 * Decides whether a request is delayed or aborted on purpose (`HTTPFault`). First the delay (flag `DI`), outside the route's timeout; then the
 * abort (flag `FI`), which is never retried. Headers may choose the fault where the configuration lets them, never with a greater chance than it
 * has. One per route; counts the faults under way.
 */
export class CompiledFault {
  readonly config: FaultConfig
  readonly #matchers: readonly { readonly name: string; readonly matcher: CompiledHeaderMatcher }[]
  readonly #fixedAbort: FaultAbort | null
  #active = 0

  /** @throws RE2JSException when a regex of a header matcher is not RE2 */
  constructor(config: FaultConfig) {
    this.config = config
    this.#matchers = config.headers.map(each => ({ name: each.name, matcher: compileHeaderMatcher(each) }))
    this.#fixedAbort = fixedAbort(config)
  }

  /** Whether the fault is meant for a request at all. */
  appliesTo(request: FaultRequest, clusterName: string): boolean {
    const { upstreamCluster } = this.config
    if (upstreamCluster !== '' && upstreamCluster !== clusterName) return false
    for (const { name, matcher } of this.#matchers) if (!matcher.matches(request.header(name))) return false
    return true
  }

  /** How long to hold a request back, or 0. Above 0, a fault has begun. */
  delayMs(request: FaultRequest, random: Random): number {
    const { delay } = this.config
    if (delay === undefined) return 0
    const delayMs = delay.fromHeader ? headerNumber(request, 'x-envoy-fault-delay-request') : delay.fixedDelayMs
    if (delayMs === undefined || delayMs <= 0) return 0
    const percentage = capped(delay.percentage, delay.fromHeader, request, 'x-envoy-fault-delay-request-percentage')
    return isSelected(percentage, random()) && this.#begin() ? delayMs : 0
  }

  /**
   * What to answer in place of the upstream, or `null`. Otherwise a fault has begun, unless a delay had: one request is one fault.
   *
   * @param wasDelayed by {@link delayMs}
   */
  abort(request: FaultRequest, random: Random, wasDelayed: boolean): FaultAbort | null {
    const { abort } = this.config
    if (abort === undefined) return null
    const answer = abort.fromHeader ? headerAbort(request) : this.#fixedAbort
    if (answer === null) return null
    const percentage = capped(abort.percentage, abort.fromHeader, request, 'x-envoy-fault-abort-request-percentage')
    return isSelected(percentage, random()) && (wasDelayed || this.#begin()) ? answer : null
  }

  /** A fault that had begun is over: to be called once for the request. */
  end(): void {
    this.#active--
  }

  /** Faults under way. */
  get active(): number {
    return this.#active
  }

  #begin(): boolean {
    if (this.#active >= this.config.maxActiveFaults) return false
    this.#active++
    return true
  }
}

function fixedAbort({ abort }: FaultConfig): FaultAbort | null {
  if (abort?.grpcStatus !== undefined) return { httpStatus: 200, grpcStatus: abort.grpcStatus }
  return abort?.httpStatus === undefined ? null : { httpStatus: abort.httpStatus, grpcStatus: undefined }
}

function headerAbort(request: FaultRequest): FaultAbort | null {
  const httpStatus = headerNumber(request, 'x-envoy-fault-abort-request')
  if (httpStatus !== undefined && httpStatus >= 200 && httpStatus < 600) return { httpStatus, grpcStatus: undefined }
  const grpcStatus = headerNumber(request, 'x-envoy-fault-abort-grpc-request')
  return grpcStatus !== undefined && grpcStatus <= 16 ? { httpStatus: 200, grpcStatus } : null
}

function capped(percentage: FractionalPercent, fromHeader: boolean, request: FaultRequest, name: string): FractionalPercent {
  const asked = fromHeader ? headerNumber(request, name) : undefined
  return asked === undefined || asked >= percentage.numerator ? percentage : { ...percentage, numerator: asked }
}

function headerNumber(request: FaultRequest, name: string): number | undefined {
  const values = request.header(name)
  const text = typeof values === 'string' ? values : values?.[0]
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined
}
