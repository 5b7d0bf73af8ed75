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
