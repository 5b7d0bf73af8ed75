import type { Random } from '../runtime.ts'
import type { AnswerHeaders, RateLimitedBackOff, RetryBackOff } from './retry.ts'

/**
 * The wait before a retry: uniform in `[0, interval)` whole milliseconds, where the interval begins at the base and doubles up to the
 * maximum. This is what Envoy's code does (`JitteredExponentialBackOffStrategy`); its documentation tells of an older rule with a wider
 * second interval.
 *
 * @param retry counts from 1
 */
export function backOffMs({ baseIntervalMs, maxIntervalMs }: RetryBackOff, retry: number, random: Random): number {
  // A power too large for a number is Infinity, which the maximum takes care of.
  const intervalMs = Math.min(baseIntervalMs * 2 ** (retry - 1), maxIntervalMs)
  return Math.floor(random() * intervalMs)
}

/** How long a call that waits for somebody to be there (gRPC's `wait_for_ready`) leaves between two looks. */
export const readinessBackOff: RetryBackOff = { baseIntervalMs: 100, maxIntervalMs: 1000 }

/**
 * What `grpc-retry-pushback-ms` asks for (gRFC A6): so many milliseconds, without jitter; `null`: no more attempts, which is what a negative or
 * unreadable value says; `undefined`: there is none.
 */
export function pushbackMs(headers: AnswerHeaders): number | null | undefined {
  const value = headers['grpc-retry-pushback-ms']
  if (value === undefined) return undefined
  return typeof value === 'string' && /^\d{1,10}$/.test(value) && Number(value) <= 0x7fffffff ? Number(value) : null
}

/**
 * The wait that a server asks for (`RetryPolicy.RateLimitedRetryBackOff`): that of the first reset header, in order, that asks for no more
 * than the maximum; longer ones are ignored, not clamped. Jitter spreads it over `[wait, 1.5 wait)`, so that nobody comes too early.
 *
 * `seconds` reads a number of seconds, or an HTTP-date as `Retry-After` may carry (RFC 9110 section 10.2.3); `unix-timestamp` reads seconds
 * since the epoch.
 *
 * @param wallNowMs since the epoch
 * @returns `undefined` when no header asks
 */
export function rateLimitedBackOffMs(
  { resetHeaders, maxIntervalMs }: RateLimitedBackOff,
  headers: AnswerHeaders,
  wallNowMs: number,
  random: Random,
): number | undefined {
  for (const { name, format } of resetHeaders) {
    const values = headers[name]
    const text = typeof values === 'string' ? values : values?.[0]
    if (text === undefined) continue
    const waitMs = format === 'seconds' ? secondsOrDateMs(text.trim(), wallNowMs) : timestampMs(text.trim(), wallNowMs)
    // Envoy counts 1 ms and less as no wait at all.
    if (waitMs > 1 && waitMs <= maxIntervalMs) return waitMs + Math.floor((random() * waitMs) / 2)
  }
  return undefined
}

const digits = /^\d{1,15}$/

function secondsOrDateMs(text: string, wallNowMs: number): number {
  if (digits.test(text)) return Number(text) * 1000
  // Every form of HTTP-date begins with the name of a day; `Date.parse` alone would take "-5" for a year.
  return /^[A-Z][a-z]{2}/.test(text) ? Date.parse(text) - wallNowMs : Number.NaN
}

function timestampMs(text: string, wallNowMs: number): number {
  // Whole seconds on both sides, as Envoy counts them.
  return digits.test(text) ? (Number(text) - Math.floor(wallNowMs / 1000)) * 1000 : Number.NaN
}
