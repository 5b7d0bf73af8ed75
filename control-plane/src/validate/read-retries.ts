import { STATUS_CODES } from 'node:http'
import type { HttpRetries } from '../model/virtual-service.ts'
import { readDurationMs } from './duration.ts'
import type { Value } from './value.ts'

/** Every condition that Envoy knows, for HTTP and gRPC. */
const conditions: ReadonlySet<string> = new Set([
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'retriable-4xx',
  'refused-stream',
  'retriable-status-codes',
  'retriable-headers',
  'envoy-ratelimited',
  'http3-post-connect-failure',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
])

/** Reads `http[].retries`. */
export function readRetries(value: Value): HttpRetries | undefined {
  if (value.isAbsent) return undefined
  const fields = value.fields(
    'attempts',
    'perTryTimeout',
    'retryOn',
    'backoff',
    'retryRemoteLocalities',
    'retryIgnorePreviousHosts',
  )
  const attempts = fields.attempts.asInteger(0, 0x7fff_ffff) ?? 0
  const retryOn = readRetryOn(fields.retryOn)
  const configured = [fields.perTryTimeout, fields.retryRemoteLocalities].some(each => !each.isAbsent) || retryOn.length > 0
  if (attempts === 0 && configured) value.error('has attempts 0, which turns retries off, and yet more settings')
  return {
    attempts,
    perTryTimeoutMs: readDurationMs(fields.perTryTimeout),
    retryOn,
    backoffMs: readDurationMs(fields.backoff),
    retryRemoteLocalities: fields.retryRemoteLocalities.asBoolean() ?? false,
    ignorePreviousHosts: fields.retryIgnorePreviousHosts.asBoolean(),
  }
}

/** A list with commas and no spaces, which Istio refuses too. */
function readRetryOn(value: Value): readonly string[] {
  const text = value.asString() ?? ''
  if (text === '') return []
  const names = text.split(',')
  for (const name of names) {
    if (conditions.has(name) || isStatus(name)) continue
    const trimmed = name.trim()
    const hint = name !== trimmed && (conditions.has(trimmed) || isStatus(trimmed)) ? '; leave out the space' : ''
    value.error(`${JSON.stringify(name)} is not a retry condition${hint}`)
  }
  return names
}

/** A status that HTTP defines. */
const isStatus = (text: string) => /^[-+]?\d+$/.test(text) && Number(text) in STATUS_CODES
