import { pushbackMs } from './back-off.ts'
import { type CompiledHeaderMatcher, compileHeaderMatcher, type HeaderMatcher } from './header-matcher.ts'

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

/**
 * How an attempt ended without an answer.
 *
 * - `connect-failure`: no connection could be made, TLS handshake included
 * - `refused-stream`: HTTP/2 `REFUSED_STREAM`; the server never read the request
 * - `reset-before-request`: there was a connection, and it ended before a byte of the request was sent
 * - `reset`: it ended after that, or there was no time to tell
 * - `per-try-timeout`: no response headers within the per-try timeout
 *
 * A refusal of the circuit breaker is none of them: it ends the exchange, and is never retried.
 */
export type AttemptFailure = 'connect-failure' | 'refused-stream' | 'reset-before-request' | 'reset' | 'per-try-timeout'

/** Headers of an answer by lower-case name; a repeated one has several values. */
export type AnswerHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/** The policy of a service for which nothing is configured: what cannot have reached the application, twice, elsewhere. */
export const defaultRetryPolicy: RetryPolicy = {
  retryOn: ['connect-failure', 'refused-stream', 'reset-before-request'],
  numRetries: 2,
  perTryTimeoutMs: undefined,
  perTryIdleTimeoutMs: undefined,
  retriableStatusCodes: [],
  retriableHeaders: [],
  retriableRequestHeaders: [],
  backOff: { baseIntervalMs: 25, maxIntervalMs: 250 },
  rateLimitedBackOff: undefined,
  avoidPreviousHosts: true,
  hostSelectionMaxAttempts: 5,
}

/** gRPC status codes that a policy can name. */
const grpcConditions: readonly (readonly [RetryCondition, number])[] = [
  ['cancelled', 1],
  ['deadline-exceeded', 4],
  ['resource-exhausted', 8],
  ['internal', 13],
  ['unavailable', 14],
]

interface CompiledMatcher {
  readonly name: string
  readonly matcher: CompiledHeaderMatcher
}

/**
 * Whether an attempt may be followed by another one, as Envoy 1.40 decides it (`RetryStateImpl`). Attempts left, the budget, the
 * body and the method are not its business: a policy that says POST is retried means it.
 */
export class CompiledRetryPolicy {
  readonly config: RetryPolicy
  readonly #on5xx: boolean
  readonly #onGatewayError: boolean
  readonly #onReset: boolean
  readonly #onResetBeforeRequest: boolean
  readonly #onConnectFailure: boolean
  readonly #onRefusedStream: boolean
  readonly #onConflict: boolean
  readonly #onRateLimited: boolean
  readonly #statusCodes: ReadonlySet<number> | null
  readonly #headers: readonly CompiledMatcher[]
  readonly #requestHeaders: readonly CompiledMatcher[]
  /** Bit n: gRPC status n is retried. */
  readonly #grpcStatuses: number

  /** @throws RE2JSException when a regex of a header matcher is not RE2 */
  constructor(config: RetryPolicy) {
    const on = new Set(config.retryOn)
    this.config = config
    this.#on5xx = on.has('5xx')
    this.#onGatewayError = on.has('gateway-error')
    this.#onReset = on.has('reset') || on.has('5xx') || on.has('gateway-error')
    this.#onResetBeforeRequest = on.has('reset-before-request')
    this.#onConnectFailure = on.has('connect-failure')
    this.#onRefusedStream = on.has('refused-stream')
    this.#onConflict = on.has('retriable-4xx')
    this.#onRateLimited = on.has('envoy-ratelimited')
    const hasCodes = on.has('retriable-status-codes') && config.retriableStatusCodes.length > 0
    this.#statusCodes = hasCodes ? new Set(config.retriableStatusCodes) : null
    this.#headers = on.has('retriable-headers') ? compileMatchers(config.retriableHeaders) : []
    this.#requestHeaders = compileMatchers(config.retriableRequestHeaders)
    this.#grpcStatuses = grpcConditions.reduce((bits, [name, code]) => (on.has(name) ? bits | (1 << code) : bits), 0)
  }

  /** Whether the policy applies to a request at all (`retriable_request_headers`: one of them must match). */
  allowsRequest(request: { header(name: string): string | readonly string[] | undefined }): boolean {
    if (this.#requestHeaders.length === 0) return true
    for (const { name, matcher } of this.#requestHeaders) if (matcher.matches(request.header(name))) return true
    return false
  }

  /**
   * Whether response headers call for another attempt.
   *
   * `x-envoy-ratelimited` forbids it, unless `envoy-ratelimited` is set, and then it alone decides. `x-envoy-overloaded` decides nothing.
   * A gRPC status counts only here, in the headers of a trailers-only answer. A server that pushes back without a time is not asked again.
   */
  retriesResponse(statusCode: number, headers: AnswerHeaders): boolean {
    if (pushbackMs(headers) === null) return false
    if (headers['x-envoy-ratelimited'] !== undefined) return this.#onRateLimited
    if (statusCode >= 500 && statusCode < 600) {
      if (this.#on5xx) return true
      if (this.#onGatewayError && statusCode >= 502 && statusCode <= 504) return true
    }
    if (this.#onConflict && statusCode === 409) return true
    if (this.#statusCodes?.has(statusCode) === true) return true
    for (const { name, matcher } of this.#headers) {
      if (matcher.matches(name === ':status' ? String(statusCode) : headers[name])) return true
    }
    if (this.#grpcStatuses === 0) return false
    const status = headers['grpc-status']
    return typeof status === 'string' && /^\d{1,2}$/.test(status) && this.retriesGrpcStatus(Number(status))
  }

  /** Whether a gRPC status that came before any message calls for another attempt. */
  retriesGrpcStatus(status: number): boolean {
    return status >= 0 && status < 31 && (this.#grpcStatuses & (1 << status)) !== 0
  }

  /**
   * Whether a failure calls for another attempt. `5xx` and `gateway-error` count every failure as an answer of theirs, `reset` takes them all
   * too; a per-try timeout is a reset of our own, so that `connect-failure` and `reset-before-request` leave it alone.
   *
   * @param grpcStatus what the failure is to a gRPC caller, which counts like a status of the server's (gRFC A6)
   */
  retriesFailure(failure: AttemptFailure, grpcStatus = -1): boolean {
    if (this.retriesGrpcStatus(grpcStatus)) return true
    switch (failure) {
      case 'connect-failure':
        // Nothing of the request was sent.
        return this.#onReset || this.#onConnectFailure || this.#onResetBeforeRequest
      case 'refused-stream':
        return this.#onReset || this.#onRefusedStream
      case 'reset-before-request':
        return this.#onReset || this.#onResetBeforeRequest
      case 'reset':
      case 'per-try-timeout':
        return this.#onReset
    }
  }
}

function compileMatchers(matchers: readonly HeaderMatcher[]): readonly CompiledMatcher[] {
  return matchers.map(each => ({ name: each.name, matcher: compileHeaderMatcher(each) }))
}
