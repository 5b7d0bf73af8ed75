import { type Any, durationFromMs } from '@bufbuild/protobuf/wkt'
import { CorsPolicySchema } from 'inmesh/gen/envoy/extensions/filters/http/cors/v3/cors_pb'
import { HTTPFaultSchema } from 'inmesh/gen/envoy/extensions/filters/http/fault/v3/fault_pb'
import type { CorsPolicy, HttpFault } from '../model/virtual-service.ts'
import { pack } from './config-source.ts'
import { fractionalPercent } from './percent.ts'
import { stringMatcher } from './string-matcher.ts'
import type { View } from './view.ts'

/** Names of the filters, in the connection manager and in the overrides of routes. */
export const filterNames = {
  cors: 'envoy.filters.http.cors',
  fault: 'envoy.filters.http.fault',
  router: 'envoy.filters.http.router',
} as const

/**
 * `typed_per_filter_config` of a route. CORS is for proxies alone: it answers browsers, which no client without proxy is called by,
 * and gRPC refuses a route with a filter it does not know.
 */
export function filterOverrides(
  fault: HttpFault | undefined,
  cors: CorsPolicy | undefined,
  view: View,
): { readonly [name: string]: Any } {
  const hasFault = fault && (fault.delay || fault.abort)
  return {
    ...(cors && view.kind === 'envoy' ? { [filterNames.cors]: translateCors(cors) } : {}),
    ...(hasFault ? { [filterNames.fault]: translateFault(fault) } : {}),
  }
}

function translateFault({ delay, abort }: HttpFault): Any {
  return pack(HTTPFaultSchema, {
    ...(delay
      ? {
          delay: {
            faultDelaySecifier: { case: 'fixedDelay', value: durationFromMs(delay.fixedDelayMs) },
            percentage: fractionalPercent(delay.percentage),
          },
        }
      : {}),
    ...(abort
      ? {
          abort: {
            errorType:
              'http' in abort.status
                ? { case: 'httpStatus', value: abort.status.http }
                : { case: 'grpcStatus', value: abort.status.grpc },
            percentage: fractionalPercent(abort.percentage),
          },
        }
      : {}),
  })
}

function translateCors(cors: CorsPolicy): Any {
  return pack(CorsPolicySchema, {
    allowOriginStringMatch: cors.allowOrigins.flatMap(match => (match.kind === 'present' ? [] : [stringMatcher(match)])),
    allowMethods: cors.allowMethods.join(','),
    allowHeaders: cors.allowHeaders.join(','),
    exposeHeaders: cors.exposeHeaders.join(','),
    maxAge: cors.maxAgeSeconds === undefined ? '' : String(cors.maxAgeSeconds),
    ...(cors.allowCredentials === undefined ? {} : { allowCredentials: cors.allowCredentials }),
    filterEnabled: { defaultValue: { numerator: 100 } },
    forwardNotMatchingPreflights: cors.forwardUnmatchedPreflights,
  })
}
