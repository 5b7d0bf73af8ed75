import type { FaultConfig } from '../../policies/fault.ts'
import type { FaultDelay } from '../gen/envoy/extensions/filters/common/fault/v3/fault_pb.ts'
import type { FaultAbort, HTTPFault } from '../gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts'
import { durationMs } from './duration.ts'
import { decodeHeaderMatchers } from './header-matcher.ts'
import { decodeFractionalPercent } from './percent.ts'
import type { Problems } from './problems.ts'

/** Decodes `envoy.extensions.filters.http.fault.v3.HTTPFault`. */
export function decodeFault(message: HTTPFault, problems: Problems): FaultConfig {
  if (message.responseRateLimit !== undefined) problems.addAt('response_rate_limit', 'is not supported')
  if (message.downstreamNodes.length > 0) problems.addAt('downstream_nodes', 'is not supported')
  return {
    delay: message.delay === undefined ? undefined : decodeDelay(message.delay, problems.at('delay')),
    abort: message.abort === undefined ? undefined : decodeAbort(message.abort, problems.at('abort')),
    headers: decodeHeaderMatchers(message.headers, problems, 'headers'),
    upstreamCluster: message.upstreamCluster,
    maxActiveFaults: message.maxActiveFaults ?? Number.MAX_SAFE_INTEGER,
  }
}

function decodeDelay(message: FaultDelay, problems: Problems): FaultConfig['delay'] {
  const specifier = message.faultDelaySecifier
  if (specifier.case === undefined) problems.addAt('fault_delay_secifier', 'is required')
  return {
    fixedDelayMs:
      specifier.case === 'fixedDelay' ? durationMs(specifier.value, 'positive', problems.at('fixed_delay')) : undefined,
    fromHeader: specifier.case === 'headerDelay',
    percentage: decodeFractionalPercent(message.percentage, problems.at('percentage')),
  }
}

function decodeAbort(message: FaultAbort, problems: Problems): FaultConfig['abort'] {
  const type = message.errorType
  if (type.case === undefined) problems.addAt('error_type', 'is required')
  if (type.case === 'httpStatus' && (type.value < 200 || type.value >= 600))
    problems.addAt('http_status', `must be in [200, 600), got ${type.value}`)
  if (type.case === 'grpcStatus' && type.value > 16) problems.addAt('grpc_status', `must be in [0, 16], got ${type.value}`)
  return {
    httpStatus: type.case === 'httpStatus' ? type.value : undefined,
    grpcStatus: type.case === 'grpcStatus' ? type.value : undefined,
    fromHeader: type.case === 'headerAbort',
    percentage: decodeFractionalPercent(message.percentage, problems.at('percentage')),
  }
}
