import type { HttpForward, HttpRetries } from '../../model/virtual-service.ts'
import type { Value } from '../value.ts'
import { readGatewayDurationMs } from './read-gateway-duration.ts'

/** What is retried beside the codes: a peer that could not be reached, or says that it has done nothing. Istio's list. */
const always = ['connect-failure', 'refused-stream', 'unavailable', 'cancelled'] as const

/** How often, unless it says so; as without `retry`. */
const defaultAttempts = 2

/** Reads `timeouts` and `retry` of a rule. The limit of an attempt is that of the call where nothing is retried. */
export function readTimeoutsAndRetries(timeouts: Value, retry: Value): Pick<HttpForward, 'timeoutMs' | 'retries'> {
  const { request, backendRequest } = timeouts.fields('request', 'backendRequest')
  const requestMs = readGatewayDurationMs(request) || undefined
  const attemptMs = readGatewayDurationMs(backendRequest) || undefined
  if (requestMs !== undefined && attemptMs !== undefined && attemptMs > requestMs)
    backendRequest.error('must not be longer than request')
  const retries = readRetry(retry, attemptMs)
  return { timeoutMs: retries === undefined ? (attemptMs ?? requestMs) : requestMs, retries }
}

function readRetry(value: Value, perTryTimeoutMs: number | undefined): HttpRetries | undefined {
  if (value.isAbsent) return undefined
  const fields = value.fields('codes', 'attempts', 'backoff')
  const codes = fields.codes.items().flatMap(item => item.required().asInteger(400, 599) ?? [])
  const attempts = fields.attempts.asInteger(0, 0x7fff_ffff) ?? defaultAttempts
  return {
    attempts,
    perTryTimeoutMs,
    retryOn: attempts === 0 ? [] : [...always, ...codes.map(String)],
    backoffMs: readGatewayDurationMs(fields.backoff) || undefined,
    retryRemoteLocalities: false,
    ignorePreviousHosts: undefined,
  }
}
