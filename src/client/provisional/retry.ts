import type { RetryPolicy } from '../../policies/retry.ts'
export type AttemptFailure = 'connect-failure' | 'refused-stream' | 'reset-before-request' | 'reset' | 'per-try-timeout'
export class CompiledRetryPolicy {
  readonly config: RetryPolicy
  readonly on: Set<string>
  constructor(config: RetryPolicy) {
    this.config = config
    this.on = new Set(config.retryOn)
  }
  retriesResponse(status: number): boolean {
    return (
      (this.on.has('5xx') && status >= 500) ||
      (this.on.has('gateway-error') && status >= 502 && status <= 504) ||
      (this.on.has('retriable-4xx') && status === 409) ||
      (this.on.has('retriable-status-codes') && this.config.retriableStatusCodes.includes(status))
    )
  }
  retriesFailure(failure: AttemptFailure): boolean {
    if (this.on.has('5xx')) return true
    if (this.on.has(failure)) return true
    return this.on.has('reset') || (failure === 'per-try-timeout' && this.on.has('gateway-error'))
  }
}
