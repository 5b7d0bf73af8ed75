import type { FormatCommand } from '../policies/header-format.ts'
import type { Endpoint } from './endpoint.ts'
import type { Exchange } from './exchange.ts'

/** Values of `%COMMAND%` that the caller's side of a call knows. */
export function formatCommand(exchange: Exchange, endpoint: Endpoint | null, command: FormatCommand): string | undefined {
  switch (command) {
    case 'PROTOCOL':
    case 'UPSTREAM_PROTOCOL':
      return exchange.cluster?.config.http.protocol === 'http2' ? 'HTTP/2' : 'HTTP/1.1'
    case 'RESPONSE_CODE':
      return exchange.statusCode === 0 ? undefined : String(exchange.statusCode)
    case 'RESPONSE_FLAGS':
      return exchange.flag === '' ? '-' : exchange.flag
    case 'ROUTE_NAME':
      return exchange.route?.config.name === '' ? undefined : exchange.route?.config.name
    case 'UPSTREAM_CLUSTER':
    case 'UPSTREAM_CLUSTER_RAW':
      return exchange.clusterName
    case 'UPSTREAM_HOST':
    case 'UPSTREAM_REMOTE_ADDRESS':
      return endpoint?.name
    case 'UPSTREAM_HOST_NAME':
      return endpoint === null || endpoint.hostname === '' ? endpoint?.name : endpoint.hostname
    case 'UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT':
      return endpoint?.address
    case 'UPSTREAM_REMOTE_PORT':
      return endpoint === null ? undefined : String(endpoint.port)
    case 'UPSTREAM_REQUEST_ATTEMPT_COUNT':
      return String(exchange.attempts)
    default:
      return undefined
  }
}
