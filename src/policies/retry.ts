import type { HeaderMatcher } from './header-matcher.ts'

/** The conditions of `RetryPolicy.retry_on`: Envoy's `x-envoy-retry-on` and `x-envoy-retry-grpc-on` in one list. */
export const retryConditions = [
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'refused-stream',
  'retriable-4xx',
  'retriable-status-codes',
  'retriable-headers',
  'envoy-ratelimited',
  'http3-post-connect-failure',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
] as const

export type RetryCondition = (typeof retryConditions)[number]

/** `envoy.config.route.v3.RetryPolicy`, decoded. */
export interface RetryPolicy {
  readonly retryOn: readonly RetryCondition[]
  /** Retries after the first attempt; default 1. */
  readonly numRetries: number
  readonly perTryTimeoutMs: number | undefined
  readonly perTryIdleTimeoutMs: number | undefined
  readonly retriableStatusCodes: readonly number[]
  /** Response headers that make a response retriable (`retriable-headers`). */
  readonly retriableHeaders: readonly HeaderMatcher[]
  /** A request is retried only when one of these matches; empty means every request. */
  readonly retriableRequestHeaders: readonly HeaderMatcher[]
  readonly backOff: RetryBackOff
  readonly rateLimitedBackOff: RateLimitedBackOff | undefined
  /** `envoy.retry_host_predicates.previous_hosts` is configured. */
  readonly avoidPreviousHosts: boolean
  /** Picks to spend looking for another host; default 1. */
  readonly hostSelectionMaxAttempts: number
}

export interface RetryBackOff {
  /** Default 25. */
  readonly baseIntervalMs: number
  /** Default 10 x base. */
  readonly maxIntervalMs: number
}

export interface RateLimitedBackOff {
  readonly resetHeaders: readonly { readonly name: string; readonly format: 'seconds' | 'unix-timestamp' }[]
  /** Default 300,000. A longer wait asked by the server is ignored, not clamped. */
  readonly maxIntervalMs: number
}
