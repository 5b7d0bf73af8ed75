import { backOffMs, pushbackMs, rateLimitedBackOffMs } from '../policies/back-off.ts'
import type { CircuitBreaker } from '../policies/circuit-breaker.ts'
import type { AnswerHeaders, CompiledRetryPolicy } from '../policies/retry.ts'
import type { Clock, Random } from '../runtime.ts'
import type { ResponseFlag } from '../telemetry/response-flag.ts'
import type { Cluster } from './cluster.ts'
import type { Endpoint } from './endpoint.ts'

/** What an exchange remembers of its retries; made when the first one is called for. */
export class RetryState {
  readonly #policy: CompiledRetryPolicy
  #retries: number
  #granted: number
  /** Retries since the backoff began at its base. */
  #backOffs: number
  /** Holds a retry of the cluster's breaker until the next one, or the end. */
  #breaker: CircuitBreaker | null
  #previous: Endpoint[] | null

  constructor(policy: CompiledRetryPolicy) {
    this.#policy = policy
    this.#retries = 0
    this.#granted = 0
    this.#backOffs = 0
    this.#breaker = null
    this.#previous = null
  }

  /** Retries that were allowed so far. */
  get granted(): number {
    return this.#granted
  }

  /** Endpoints that another attempt is to avoid, or `null` when it does not matter. */
  get previous(): readonly Endpoint[] | null {
    return this.#previous
  }

  /** Takes a retry from the count, the breaker and the budget. Returns the flag of what forbids it, or an empty one. */
  reserve(breaker: CircuitBreaker, cluster: Cluster): ResponseFlag {
    if (this.#retries >= this.#policy.config.numRetries) return 'URX'
    this.#retries++
    this.release()
    if (!breaker.tryAcquireRetry()) return 'UO'
    this.#breaker = breaker
    if (cluster.retryTokens !== null && !cluster.retryTokens.tryWithdraw()) {
      this.release()
      return 'UO'
    }
    this.#granted++
    return ''
  }

  /** An attempt on `endpoint` is over, and another one will follow. */
  leave(endpoint: Endpoint): void {
    if (!this.#policy.config.avoidPreviousHosts) return
    this.#previous ??= []
    this.#previous.push(endpoint)
  }

  /** How long to wait before the retry that was reserved last. `headers`: of the answer that led to it. */
  delayMs(headers: AnswerHeaders | null, clock: Clock, random: Random): number {
    const { backOff, rateLimitedBackOff } = this.#policy.config
    const pushedBackMs = headers === null ? undefined : pushbackMs(headers)
    if (typeof pushedBackMs === 'number') {
      // The next backoff without a pushback is the first again.
      this.#backOffs = 0
      return pushedBackMs
    }
    if (headers !== null && rateLimitedBackOff !== undefined) {
      const asked = rateLimitedBackOffMs(rateLimitedBackOff, headers, clock.wallNow(), random)
      if (asked !== undefined) return asked
    }
    return backOffMs(backOff, ++this.#backOffs, random)
  }

  /** The exchange is over, or retried anew. */
  release(): void {
    this.#breaker?.releaseRetry()
    this.#breaker = null
  }
}
