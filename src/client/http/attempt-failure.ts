import type { AttemptFailure } from '../../policies/retry.ts'
import { isConnectFailure } from './connection-failure.ts'

const callersFaults = new Set([
  'UND_ERR_INVALID_ARG',
  'UND_ERR_NOT_SUPPORTED',
  'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH',
  'UND_ERR_REQ_RETRY',
])

/** What a failed attempt was, for the retry policy. `wasSent`: it had a connection, so bytes of it may have left. */
export function classifyFailure(error: Error, wasSent: boolean): AttemptFailure {
  if (isConnectFailure(error)) return 'connect-failure'
  if (isRefusedStream(error)) return 'refused-stream'
  return wasSent ? 'reset' : 'reset-before-request'
}

/** Whether undici refused the request as it was made: no endpoint is to blame, and no other attempt would do better. */
export function isCallersFault(error: Error): boolean {
  return 'code' in error && typeof error.code === 'string' && callersFaults.has(error.code)
}

/** Whether the connection's pool was closed between pick and dispatch: the endpoint has just left. */
export function isClosedPool(error: Error): boolean {
  return 'code' in error && (error.code === 'UND_ERR_CLOSED' || error.code === 'UND_ERR_DESTROYED')
}

// `REFUSED_STREAM` is 7; undici tells the code of a reset stream only in words.
function isRefusedStream(error: Error): boolean {
  return /HTTP\/2: .*(?:code 7\b|REFUSED_STREAM)/.test(error.message)
}
