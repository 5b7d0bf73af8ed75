import { type RateLimitedBackOff, type RetryBackOff, type RetryPolicy, retryConditions } from '../../policies/retry.ts'
import type {
  RetryPolicy_RetryBackOff as BackOffMessage,
  RetryPolicy_RateLimitedRetryBackOff as RateLimitedMessage,
  RetryPolicy as RetryPolicyMessage,
} from '../gen/envoy/config/route/v3/route_components_pb.ts'
import { durationMs, optionalDurationMs, timeoutMs } from './duration.ts'
import { decodeHeaderMatchers } from './header-matcher.ts'
import type { Problems } from './problems.ts'

/** Decodes `envoy.config.route.v3.RetryPolicy`. Conditions without a name Envoy knows are ignored, as Envoy does. */
export function decodeRetryPolicy(message: RetryPolicyMessage, problems: Problems): RetryPolicy {
  const named = new Set(message.retryOn.split(',').map(condition => condition.trim()))
  if (message.retryPriority !== undefined) problems.addAt('retry_priority', `is not supported: "${message.retryPriority.name}"`)
  return {
    retryOn: retryConditions.filter(condition => named.has(condition)),
    numRetries: message.numRetries ?? 1,
    perTryTimeoutMs: timeoutMs(message.perTryTimeout, problems, 'per_try_timeout'),
    perTryIdleTimeoutMs: timeoutMs(message.perTryIdleTimeout, problems, 'per_try_idle_timeout'),
    retriableStatusCodes: message.retriableStatusCodes,
    retriableHeaders: decodeHeaderMatchers(message.retriableHeaders, problems, 'retriable_headers'),
    retriableRequestHeaders: decodeHeaderMatchers(message.retriableRequestHeaders, problems, 'retriable_request_headers'),
    backOff: decodeBackOff(message.retryBackOff, problems.at('retry_back_off')),
    rateLimitedBackOff: decodeRateLimitedBackOff(message.rateLimitedRetryBackOff, problems.at('rate_limited_retry_back_off')),
    avoidPreviousHosts: decodeHostPredicates(message, problems),
    hostSelectionMaxAttempts: decodeHostSelectionAttempts(message, problems),
  }
}

function decodeBackOff(message: BackOffMessage | undefined, problems: Problems): RetryBackOff {
  if (message === undefined) return { baseIntervalMs: 25, maxIntervalMs: 250 }
  if (message.baseInterval === undefined) problems.addAt('base_interval', 'is required')
  const given = optionalDurationMs(message.baseInterval, 'positive', problems, 'base_interval') ?? 25
  // Envoy counts in milliseconds and rounds a shorter base up.
  const baseIntervalMs = Math.max(1, given)
  const maxIntervalMs = optionalDurationMs(message.maxInterval, 'positive', problems, 'max_interval')
  if (maxIntervalMs !== undefined && given > 0 && maxIntervalMs > 0 && maxIntervalMs < given)
    problems.addAt('max_interval', `must be >= base_interval, got ${maxIntervalMs / 1000}s < ${given / 1000}s`)
  return { baseIntervalMs, maxIntervalMs: Math.max(maxIntervalMs ?? 10 * baseIntervalMs, baseIntervalMs) }
}

function decodeRateLimitedBackOff(message: RateLimitedMessage | undefined, problems: Problems): RateLimitedBackOff | undefined {
  if (message === undefined) return undefined
  if (message.resetHeaders.length === 0) problems.addAt('reset_headers', 'must not be empty')
  const resetHeaders = message.resetHeaders.map(({ name, format }, index) => {
    const at = problems.at('reset_headers', index)
    if (name === '') at.addAt('name', 'is required')
    if (format > 1) at.addAt('format', `is unknown: ${format}`)
    return { name: name.toLowerCase(), format: format === 1 ? ('unix-timestamp' as const) : ('seconds' as const) }
  })
  const maxIntervalMs =
    message.maxInterval === undefined ? 300_000 : durationMs(message.maxInterval, 'positive', problems.at('max_interval'))
  return { resetHeaders, maxIntervalMs }
}

function decodeHostPredicates(message: RetryPolicyMessage, problems: Problems): boolean {
  let avoid = false
  message.retryHostPredicate.forEach(({ name, configType }, index) => {
    const typeUrl = configType.value?.typeUrl ?? ''
    if (name === 'envoy.retry_host_predicates.previous_hosts' || typeUrl.endsWith('.PreviousHostsPredicate')) avoid = true
    else problems.at('retry_host_predicate', index).add(`is not supported: "${name}"`)
  })
  return avoid
}

function decodeHostSelectionAttempts(message: RetryPolicyMessage, problems: Problems): number {
  const attempts = Number(message.hostSelectionRetryMaxAttempts)
  if (attempts < 0) problems.addAt('host_selection_retry_max_attempts', `must be >= 0, got ${attempts}`)
  return attempts === 0 ? 1 : attempts
}
