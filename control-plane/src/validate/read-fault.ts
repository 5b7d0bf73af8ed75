import type { HttpFault } from '../model/virtual-service.ts'
import { readDurationMs } from './duration.ts'
import { readPercentage } from './read-http-action.ts'
import type { Value } from './value.ts'

/** Names of the gRPC status codes; the index is the code. */
const grpcStatuses = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const

/** Smallest share that Envoy can tell from none. */
const minimumPercentage = 0.0001

/** Reads `http[].fault`. A share that is not given is 0. */
export function readFault(value: Value): HttpFault | undefined {
  if (value.isAbsent) return undefined
  const { delay, abort } = value.fields('delay', 'abort')
  if (delay.isAbsent && abort.isAbsent) value.error('must have delay or abort')
  return { delay: readDelay(delay), abort: readAbort(abort) }
}

function readDelay(value: Value): HttpFault['delay'] {
  if (value.isAbsent) return undefined
  const fields = value.fields('fixedDelay', 'exponentialDelay', 'percentage', 'percent')
  if (!fields.exponentialDelay.isAbsent) fields.exponentialDelay.error('is not supported; use fixedDelay')
  if (!fields.percent.isAbsent) fields.percent.warn('is deprecated; use percentage')
  const fixedDelayMs = readDurationMs(fields.fixedDelay)
  const percentage = readShare(fields.percentage) ?? fields.percent.asInteger(0, 100) ?? 0
  if (fixedDelayMs === undefined) {
    if (fields.fixedDelay.isAbsent) value.warn('has no fixedDelay and does nothing')
    return undefined
  }
  return { fixedDelayMs, percentage }
}

function readAbort(value: Value): HttpFault['abort'] {
  if (value.isAbsent) return undefined
  const fields = value.fields('httpStatus', 'grpcStatus', 'http2Error', 'percentage')
  const { httpStatus, grpcStatus, http2Error } = fields
  if ([httpStatus, grpcStatus, http2Error].filter(each => !each.isAbsent).length > 1)
    value.error('may have only one of httpStatus, grpcStatus and http2Error')
  if (!http2Error.isAbsent) http2Error.error('is not supported; use httpStatus')
  const percentage = readShare(fields.percentage) ?? 0
  // Istio takes 600 too, which Envoy refuses together with the whole route configuration.
  const http = httpStatus.asInteger(200, 599)
  const grpc = grpcStatus.asOneOf(grpcStatuses)
  if (http !== undefined) return { status: { http }, percentage }
  if (grpc !== undefined) return { status: { grpc: grpcStatuses.indexOf(grpc) }, percentage }
  if (httpStatus.isAbsent && grpcStatus.isAbsent && http2Error.isAbsent) value.warn('has no status and does nothing')
  return undefined
}

function readShare(value: Value): number | undefined {
  const percentage = readPercentage(value)
  if (percentage && percentage < minimumPercentage) value.error(`must be 0 or in [${minimumPercentage}, 100], got ${percentage}`)
  return percentage
}
