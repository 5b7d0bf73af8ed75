import type { CircuitBreakerThresholds } from '../../policies/circuit-breaker.ts'
export class CircuitBreaker {
  readonly t: CircuitBreakerThresholds
  requests = 0
  pending = 0
  retries = 0
  constructor(t: CircuitBreakerThresholds) {
    this.t = t
  }
  tryAcquireRequest(): boolean {
    if (this.requests >= this.t.maxRequests) return false
    this.requests++
    return true
  }
  releaseRequest(): void {
    this.requests--
  }
  tryAcquirePending(): boolean {
    if (this.pending >= this.t.maxPendingRequests) return false
    this.pending++
    return true
  }
  releasePending(): void {
    this.pending--
  }
  tryAcquireRetry(): boolean {
    if (this.retries >= this.t.maxRetries) return false
    this.retries++
    return true
  }
  releaseRetry(): void {
    this.retries--
  }
}
