import { setImmediate } from 'node:timers/promises'
import type { ClusterLoad } from './model/cluster-load.ts'
import type { XdsNode } from './xds-node.ts'
import type { StreamMethod, XdsStream, XdsStreamHandler, XdsTransport } from './xds-stream.ts'

/** `envoy.service.load_stats.v3.LoadStatsRequest`: the first of a stream has the node and no load. */
export interface LoadStatsRequest {
  readonly node: XdsNode | undefined
  readonly loads: readonly ClusterLoad[]
}

/** `envoy.service.load_stats.v3.LoadStatsResponse`: what the server wants. */
export interface LoadStatsResponse {
  /** By name; `null`: all. */
  readonly clusters: ReadonlySet<string> | null
  readonly intervalMs: number
}

/** How a stream of load reports to one control plane is opened. */
export interface LoadStatsTransport {
  /** Of the server. */
  readonly uri: string
  /** Begins a stream. The handler is called later, never from here; a failure to open is told to it, too. */
  open(handler: XdsStreamHandler<LoadStatsResponse>): XdsStream<LoadStatsRequest>
}

const streamLoadStats: StreamMethod<LoadStatsRequest, LoadStatsResponse> = {
  path: '/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats',
  loadCodec: async () => {
    // What waits for the cached configuration goes first.
    await setImmediate()
    const { encodeLoadStats, decodeLoadStats } = await import('./load-stats-codec.ts')
    return { encode: encodeLoadStats, decode: decodeLoadStats }
  },
  // A control plane that takes no reports may well serve a configuration on the same connection.
  renewsConnection: false,
}

/** The {@link LoadStatsTransport} over HTTP/2, on the connection of the other streams. */
export function loadStatsTransport(transport: XdsTransport): LoadStatsTransport {
  return { uri: transport.uri, open: handler => transport.open(streamLoadStats, handler) }
}
