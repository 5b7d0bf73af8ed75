import type { HttpConnectionManager as HttpConnectionManagerMessage } from '../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts'
import type { HttpConnectionManager } from '../model/listener.ts'
import { timeoutMs } from './duration.ts'
import { decodeHttpFilters, type FilterSide } from './http-filter.ts'
import type { Problems } from './problems.ts'
import { decodeRouteConfiguration } from './route-configuration.ts'

/** Decodes what is obeyed of `HttpConnectionManager`. */
export function decodeHttpConnectionManager(
  message: HttpConnectionManagerMessage,
  problems: Problems,
  side: FilterSide = 'client',
): HttpConnectionManager {
  return {
    routes: decodeRoutes(message, problems),
    filters: decodeHttpFilters(message.httpFilters, problems, side),
    maxStreamDurationMs: timeoutMs(
      message.commonHttpProtocolOptions?.maxStreamDuration,
      problems.at('common_http_protocol_options'),
      'max_stream_duration',
    ),
    streamIdleTimeoutMs: timeoutMs(message.streamIdleTimeout, problems, 'stream_idle_timeout'),
    normalizePath: message.normalizePath ?? false,
    mergeSlashes: message.mergeSlashes,
  }
}

function decodeRoutes({ routeSpecifier }: HttpConnectionManagerMessage, problems: Problems): HttpConnectionManager['routes'] {
  switch (routeSpecifier.case) {
    case 'routeConfig': {
      const routeConfiguration = decodeRouteConfiguration(routeSpecifier.value, problems.at('route_config'))
      return { kind: 'inline', routeConfiguration }
    }
    case 'rds': {
      const { configSource, routeConfigName } = routeSpecifier.value
      const at = problems.at('rds')
      const source = configSource?.configSourceSpecifier.case
      if (source !== 'ads' && source !== 'self') at.addAt('config_source', `must be ads or self, got ${source ?? 'nothing'}`)
      return { kind: 'rds', routeConfigName: at.required('route_config_name', routeConfigName) }
    }
    case 'scopedRoutes':
      problems.addAt('scoped_routes', 'is not supported')
      break
    default:
      problems.addAt('route_specifier', 'is required')
  }
  return { kind: 'rds', routeConfigName: '' }
}
