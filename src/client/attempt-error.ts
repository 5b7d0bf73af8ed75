import { MeshError, type MeshErrorCode } from '../errors.ts'
import type { AttemptFailure } from '../policies/retry.ts'
import type { ResponseFlag } from '../telemetry/response-flag.ts'

interface FailureKind {
  readonly code: MeshErrorCode
  readonly flag: ResponseFlag
  readonly statusCode: number
}

/** How each failure of an attempt is reported, as Envoy does: the flag and the status of its answer. */
const kinds: Readonly<Record<AttemptFailure, FailureKind>> = {
  'connect-failure': { code: 'MESH_ERR_CONNECT', flag: 'UF', statusCode: 503 },
  'refused-stream': { code: 'MESH_ERR_UPSTREAM_RESET', flag: 'UR', statusCode: 503 },
  'reset-before-request': { code: 'MESH_ERR_UPSTREAM_RESET', flag: 'UC', statusCode: 503 },
  reset: { code: 'MESH_ERR_UPSTREAM_RESET', flag: 'UC', statusCode: 503 },
  'per-try-timeout': { code: 'MESH_ERR_PER_TRY_TIMEOUT', flag: 'UT', statusCode: 504 },
}

/** The error of an attempt that no other will follow. */
export function attemptError(
  failure: AttemptFailure,
  cluster: string,
  endpoint: string,
  attempts: number,
  cause: Error,
): MeshError {
  const { code, flag, statusCode } = kinds[failure]
  const message = `cluster ${cluster}: endpoint ${endpoint}: ${reasonOf(cause)}`
  return new MeshError(code, message, { cause, flag, statusCode, attempts, cluster, endpoint })
}

/** What happened, without the address that the error's context names already. */
function reasonOf(cause: Error): string {
  if ('syscall' in cause && 'code' in cause && cause.syscall === 'connect') return `connect ${String(cause.code)}`
  return cause.message === '' && 'code' in cause ? String(cause.code) : cause.message
}
