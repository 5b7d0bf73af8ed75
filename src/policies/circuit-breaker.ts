/** `CircuitBreakers.Thresholds` of one priority, decoded. Unlimited is `Infinity`. */
export interface CircuitBreakerThresholds {
  /** Default 1024. */
  readonly maxConnections: number
  /** Default 1024. */
  readonly maxPendingRequests: number
  /** Default 1024. */
  readonly maxRequests: number
  /** Default 3. Ignored when there is a budget. */
  readonly maxRetries: number
  readonly retryBudget: RetryBudgetConfig | undefined
}

/** `CircuitBreakers.Thresholds.RetryBudget`, decoded. */
export interface RetryBudgetConfig {
  /** Retries allowed as a share of active and pending requests, 0 to 100; default 20. */
  readonly budgetPercent: number
  /** Retries always allowed; default 3. */
  readonly minRetryConcurrency: number
}

/** Envoy's defaults. */
export const defaultThresholds: CircuitBreakerThresholds = {
  maxConnections: 1024,
  maxPendingRequests: 1024,
  maxRequests: 1024,
  maxRetries: 3,
  retryBudget: undefined,
}

/** What a {@link CircuitBreaker} limits. */
export type BreakerResource = 'connections' | 'pending' | 'requests' | 'retries'

/**
 * What is in use of one cluster at one priority, against its thresholds (Envoy's `ResourceManager`; gRFC A32 for requests).
 * Each `tryAcquire` that returned true is to be followed by one `release`. Refused means flag `UO` and `x-envoy-overloaded`, and is
 * never retried. The counts outlive a change of the thresholds, and a lowered threshold takes nothing away from who has it.
 */
export class CircuitBreaker {
  #thresholds: CircuitBreakerThresholds
  #connections = 0
  #pending = 0
  #requests = 0
  #retries = 0
  #overflows = 0

  constructor(thresholds: CircuitBreakerThresholds) {
    this.#thresholds = thresholds
  }

  get thresholds(): CircuitBreakerThresholds {
    return this.#thresholds
  }

  /** Changes the limits; the counts stay. */
  update(thresholds: CircuitBreakerThresholds): void {
    this.#thresholds = thresholds
  }

  /** Open connections. */
  get connections(): number {
    return this.#connections
  }

  /** Attempts that wait for a connection. */
  get pending(): number {
    return this.#pending
  }

  /** Attempts under way. */
  get requests(): number {
    return this.#requests
  }

  /** Retries under way, backoff included. */
  get retries(): number {
    return this.#retries
  }

  /** Refusals so far, of any resource. */
  get overflows(): number {
    return this.#overflows
  }

  tryAcquireConnection(): boolean {
    if (this.#connections >= this.#thresholds.maxConnections) return this.#overflow()
    this.#connections++
    return true
  }

  releaseConnection(): void {
    this.#connections--
  }

  tryAcquirePending(): boolean {
    if (this.#pending >= this.#thresholds.maxPendingRequests) return this.#overflow()
    this.#pending++
    return true
  }

  releasePending(): void {
    this.#pending--
  }

  tryAcquireRequest(): boolean {
    if (this.#requests >= this.#thresholds.maxRequests) return this.#overflow()
    this.#requests++
    return true
  }

  releaseRequest(): void {
    this.#requests--
  }

  tryAcquireRetry(): boolean {
    if (this.#retries >= this.maxRetries) return this.#overflow()
    this.#retries++
    return true
  }

  releaseRetry(): void {
    this.#retries--
  }

  /**
   * Retries that may be under way now: `max_retries`, or with a budget its share of the active and pending requests, a fraction dropped,
   * and at least `min_retry_concurrency`.
   */
  get maxRetries(): number {
    const { retryBudget, maxRetries } = this.#thresholds
    if (retryBudget === undefined) return maxRetries
    const share = Math.floor((retryBudget.budgetPercent * (this.#requests + this.#pending)) / 100)
    return Math.max(share, retryBudget.minRetryConcurrency)
  }

  /** What is left of a resource, never below 0 (Envoy's `remaining_*` gauges). */
  remaining(resource: BreakerResource): number {
    const { maxConnections, maxPendingRequests, maxRequests } = this.#thresholds
    switch (resource) {
      case 'connections':
        return Math.max(0, maxConnections - this.#connections)
      case 'pending':
        return Math.max(0, maxPendingRequests - this.#pending)
      case 'requests':
        return Math.max(0, maxRequests - this.#requests)
      case 'retries':
        return Math.max(0, this.maxRetries - this.#retries)
    }
  }

  #overflow(): false {
    this.#overflows++
    return false
  }
}
