import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { durationFromMs } from '@bufbuild/protobuf/wkt'
import type { Node } from 'inmesh/gen/envoy/config/core/v3/base_pb'
import { LoadStatsRequestSchema, LoadStatsResponseSchema } from 'inmesh/gen/envoy/service/load_stats/v3/lrs_pb'
import type { Clock, Logger } from '../runtime.ts'
import type { ResourceSource } from './ads-server.ts'
import type { GrpcCall, GrpcCallListener, GrpcHandler } from './grpc-call.ts'
import type { LoadReport } from './load-report.ts'
import { LoadReportStore } from './load-report-store.ts'
import { messageFrame } from './message-frame.ts'
import { clusterType } from './resource-type.ts'
import { statusCode } from './status-code.ts'

/** Options of {@link LoadReportingServer}. */
export interface LoadReportingServerOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** Names the clusters to clients that must have them named. */
  readonly source: ResourceSource
  /** How often clients report. Default 10,000 ms. */
  readonly intervalMs?: number
  /** Streams at once. Default 10,000. */
  readonly maxStreams?: number
  /** How long a cluster stays of which nothing is heard, and a client that has gone. Default 300,000 ms. */
  readonly retentionMs?: number
}

const supportsSendAllClusters = 'envoy.lrs.supports_send_all_clusters'

/** The load reporting service (LRS): asks every client for all of its clusters, and keeps what they say. */
export class LoadReportingServer {
  readonly #options: LoadReportingServerOptions
  readonly #store: LoadReportStore
  #streams = 0

  constructor(options: LoadReportingServerOptions) {
    this.#options = options
    const { clock, retentionMs } = options
    this.#store = new LoadReportStore({ clock, ...(retentionMs === undefined ? {} : { retentionMs }) })
  }

  /** The method of the service by path. */
  handlers(): ReadonlyMap<string, GrpcHandler> {
    const path = '/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats'
    return new Map<string, GrpcHandler>([[path, call => this.connect(call)]])
  }

  /** A row for each client and cluster. */
  reports(): readonly LoadReport[] {
    return this.#store.reports()
  }

  /** Takes a new stream, or ends it when there are too many. */
  connect(call: GrpcCall): GrpcCallListener {
    const isFull = this.#streams >= (this.#options.maxStreams ?? 10_000)
    this.#streams += 1
    let nodeId: string | undefined
    if (isFull) call.end(statusCode.resourceExhausted, 'too many streams')
    const receive = (bytes: Uint8Array) => {
      const { node, clusterStats } = fromBinary(LoadStatsRequestSchema, bytes)
      if (nodeId === undefined) {
        if (!node?.id) return call.end(statusCode.invalidArgument, 'the first request must name the node')
        nodeId = node.id
        this.#store.join(node)
        this.#ask(call, node)
      }
      this.#store.add(nodeId, clusterStats)
    }
    return {
      onMessage: bytes => {
        try {
          receive(bytes)
        } catch (error) {
          this.#options.logger.warn('a load report cannot be read', { node: nodeId, peer: call.peer, error: String(error) })
          call.end(statusCode.invalidArgument, 'the load report cannot be read')
        }
      },
      onDrain() {},
      onClose: () => {
        this.#streams -= 1
        if (nodeId !== undefined) this.#store.leave(nodeId)
      },
    }
  }

  /** Ends the timers. The streams are the transport's to end. */
  close(): void {
    this.#store.close()
  }

  #ask(call: GrpcCall, node: Node): void {
    const wanted: MessageInitShape<typeof LoadStatsResponseSchema> = node.clientFeatures.includes(supportsSendAllClusters)
      ? { sendAllClusters: true }
      : { clusters: this.#clustersOf(node) }
    const loadReportingInterval = durationFromMs(this.#options.intervalMs ?? 10_000)
    const response = create(LoadStatsResponseSchema, { ...wanted, loadReportingInterval })
    call.write(messageFrame(toBinary(LoadStatsResponseSchema, response)))
  }

  /** Those that the client may know now. */
  #clustersOf(node: Node): string[] {
    const { source } = this.#options
    const view = source.viewOf(node)
    if (view === undefined) return []
    return [...(source.resourcesOf(view)?.resources.get(clusterType)?.keys() ?? [])]
  }
}
