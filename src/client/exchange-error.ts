import { MeshError, type MeshErrorCode } from '../errors.ts'
import type { LocalOriginFailure } from '../policies/outlier-detection.ts'
import type { AttemptFailure } from '../policies/retry.ts'
import type { ResponseFlag } from '../telemetry/response-flag.ts'
import type { ExchangeRecord } from './exchange-record.ts'

interface FailureKind {
  readonly code: MeshErrorCode
  readonly flag: ResponseFlag
  readonly statusCode: number
  /** What outlier detection counts it as. */
  readonly origin: LocalOriginFailure
}

/** How each failure of an attempt is reported, as Envoy does: the flag and the status of its answer. */
const kinds: Readonly<Record<AttemptFailure, FailureKind>> = {
  'connect-failure': { code: 'MESH_ERR_CONNECT', flag: 'UF', statusCode: 503, origin: 'connect-failure' },
  'refused-stream': { code: 'MESH_ERR_UPSTREAM_RESET', flag: 'UR', statusCode: 503, origin: 'reset' },
  'reset-before-request': { code: 'MESH_ERR_UPSTREAM_RESET', flag: 'UC', statusCode: 503, origin: 'reset' },
  reset: { code: 'MESH_ERR_UPSTREAM_RESET', flag: 'UC', statusCode: 503, origin: 'reset' },
  'per-try-timeout': { code: 'MESH_ERR_PER_TRY_TIMEOUT', flag: 'UT', statusCode: 504, origin: 'timeout' },
}

/** The error of an attempt that no other will follow. */
export function attemptError(record: ExchangeRecord, failure: AttemptFailure, cause: Error): MeshError {
  const { clusterName: cluster, endpointAddress: endpoint, attempts } = record
  const { code, flag, statusCode } = kinds[failure]
  return new MeshError(code, `${placeOf(record)}: ${reasonOf(cause)}`, { cause, flag, statusCode, attempts, cluster, endpoint })
}

/**
 * The error of an exchange that has run out of time.
 *
 * @param isWholeRequest whether the server was the one to be waited for; else it is 408, as in Envoy (`maybeRequestTimeoutCode`)
 */
export function timeoutError(record: ExchangeRecord, flag: ResponseFlag, isWholeRequest: boolean, reason: string): MeshError {
  const { clusterName: cluster, endpointAddress: endpoint, attempts } = record
  const details = { flag, statusCode: isWholeRequest ? 504 : 408, attempts, cluster, endpoint }
  return new MeshError('MESH_ERR_DEADLINE', `${placeOf(record)}: ${reason}`, details)
}

/** The error of a request whose route names no cluster. */
export function noClusterError(statusCode: number): MeshError {
  const message = 'cluster (none named): not found'
  return new MeshError('MESH_ERR_CLUSTER_NOT_FOUND', message, { flag: 'NC', statusCode })
}

/** What a failure means for outlier detection. */
export function originOf(failure: AttemptFailure): LocalOriginFailure {
  return kinds[failure].origin
}

function placeOf({ clusterName, endpointAddress }: ExchangeRecord): string {
  return endpointAddress === '' ? `cluster ${clusterName}` : `cluster ${clusterName}: endpoint ${endpointAddress}`
}

/** What happened, without the address that the error's context names already. */
function reasonOf(cause: Error): string {
  if ('syscall' in cause && 'code' in cause && cause.syscall === 'connect') return `connect ${String(cause.code)}`
  return cause.message === '' && 'code' in cause ? String(cause.code) : cause.message
}
