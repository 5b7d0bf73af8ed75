import type { MessageInitShape } from '@bufbuild/protobuf'
import { type Any, durationFromMs } from '@bufbuild/protobuf/wkt'
import type { Http2ProtocolOptionsSchema } from 'inmesh/gen/envoy/config/core/v3/protocol_pb'
import { HttpProtocolOptionsSchema } from 'inmesh/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb'
import type { ConnectionPool } from '../model/destination-rule.ts'
import type { Protocol } from '../model/protocol.ts'
import { pack } from './config-source.ts'
import type { AutomaticTls } from './transport-socket.ts'

const extension = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'

/** `typed_extension_protocol_options` of a cluster; `undefined` where HTTP/1.1 with Envoy's defaults is meant. */
export function httpProtocolOptions(
  protocol: Protocol,
  pool: ConnectionPool | undefined,
  automaticTls: AutomaticTls | undefined,
): Record<string, Any> | undefined {
  const http2 = protocol === 'http2' || (protocol === 'http' && pool?.upgradeToHttp2 === true)
  const common = {
    ...(pool?.idleTimeoutMs === undefined ? {} : { idleTimeout: durationFromMs(pool.idleTimeoutMs) }),
    ...(pool?.maxConnectionDurationMs === undefined
      ? {}
      : { maxConnectionDuration: durationFromMs(pool.maxConnectionDurationMs) }),
    ...(pool?.maxRequestsPerConnection ? { maxRequestsPerConnection: pool.maxRequestsPerConnection } : {}),
  }
  if (!http2 && Object.keys(common).length === 0 && automaticTls === undefined) return undefined
  return {
    [extension]: pack(HttpProtocolOptionsSchema, {
      ...(Object.keys(common).length > 0 ? { commonHttpProtocolOptions: common } : {}),
      ...(automaticTls === undefined ? {} : { upstreamHttpProtocolOptions: automaticTls }),
      upstreamProtocolOptions: {
        case: 'explicitHttpConfig',
        value: {
          protocolConfig: http2
            ? { case: 'http2ProtocolOptions', value: http2Options(pool) }
            : { case: 'httpProtocolOptions', value: {} },
        },
      },
    }),
  }
}

function http2Options(pool: ConnectionPool | undefined): MessageInitShape<typeof Http2ProtocolOptionsSchema> {
  const keepAlive = pool?.http2KeepAlive
  return {
    ...(pool?.maxConcurrentStreams ? { maxConcurrentStreams: pool.maxConcurrentStreams } : {}),
    ...(keepAlive
      ? {
          connectionKeepalive: {
            interval: durationFromMs(keepAlive.intervalMs),
            timeout: durationFromMs(keepAlive.timeoutMs),
          },
        }
      : {}),
  }
}
