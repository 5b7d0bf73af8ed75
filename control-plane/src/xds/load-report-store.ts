import type { Node } from 'inmesh/gen/envoy/config/core/v3/base_pb'
import type { ClusterStats } from 'inmesh/gen/envoy/config/endpoint/v3/load_report_pb'
import type { Clock, Timer } from '../runtime.ts'
import type { LoadReport } from './load-report.ts'
import { LoadRow } from './load-row.ts'

/** Options of {@link LoadReportStore}. */
export interface LoadReportStoreOptions {
  readonly clock: Clock
  /** How long a cluster stays of which nothing is heard, and a client that has gone. Default 300,000 ms. */
  readonly retentionMs?: number
  /** Clusters of one client. Default 10,000; what is reported of more is not kept. */
  readonly maxClusters?: number
  /** Clients, those that have gone included. Default 20,000; of more, the first to go is forgotten. */
  readonly maxNodes?: number
}

/** A client, and what it reported. */
interface NodeLoad {
  readonly nodeId: string
  service: string
  readonly rows: Map<string, LoadRow>
  streams: number
  /** Forgets it; set while it has no stream. */
  leaving: Timer | undefined
}

/** The latest load of every client, by node and cluster. */
export class LoadReportStore {
  readonly #clock: Clock
  readonly #retentionMs: number
  readonly #maxClusters: number
  readonly #maxNodes: number
  readonly #nodes = new Map<string, NodeLoad>()

  constructor({ clock, retentionMs = 300_000, maxClusters = 10_000, maxNodes = 20_000 }: LoadReportStoreOptions) {
    this.#clock = clock
    this.#retentionMs = retentionMs
    this.#maxClusters = maxClusters
    this.#maxNodes = maxNodes
  }

  /** A client begins to report. One that comes back goes on where it was. */
  join({ id, cluster }: Node): void {
    let node = this.#nodes.get(id)
    if (node === undefined) {
      if (this.#nodes.size >= this.#maxNodes) this.#forgetOne()
      node = { nodeId: id, service: cluster, rows: new Map(), streams: 0, leaving: undefined }
      this.#nodes.set(id, node)
    }
    node.service = cluster
    node.streams += 1
    node.leaving?.cancel()
    node.leaving = undefined
  }

  /** It reports no more. */
  leave(nodeId: string): void {
    const node = this.#nodes.get(nodeId)
    if (node === undefined) return
    node.streams -= 1
    if (node.streams > 0) return
    for (const row of node.rows.values()) row.rest()
    node.leaving = this.#clock.setTimeout(() => this.#nodes.delete(nodeId), this.#retentionMs)
  }

  /** Adds a report. A cluster that it does not have has come to rest. */
  add(nodeId: string, stats: readonly ClusterStats[]): void {
    const node = this.#nodes.get(nodeId)
    if (node === undefined) return
    const now = this.#clock.wallNow()
    const told = new Set<LoadRow>()
    for (const each of stats) {
      const row = this.#rowOf(node, each)
      row?.add(each, now)
      if (row) told.add(row)
    }
    for (const [key, row] of node.rows) {
      if (told.has(row)) continue
      row.rest()
      if (row.reportedAtMs < now - this.#retentionMs) node.rows.delete(key)
    }
  }

  /** A row for each client and cluster. */
  reports(): LoadReport[] {
    return [...this.#nodes.values()].flatMap(node => Array.from(node.rows.values(), row => row.report(nodeOf(node))))
  }

  /** Ends the timers. */
  close(): void {
    for (const { leaving } of this.#nodes.values()) leaving?.cancel()
  }

  #rowOf({ rows }: NodeLoad, stats: ClusterStats): LoadRow | undefined {
    const key = JSON.stringify([stats.clusterName, stats.clusterServiceName])
    let row = rows.get(key)
    if (row === undefined && rows.size < this.#maxClusters) {
      row = new LoadRow(stats)
      rows.set(key, row)
    }
    return row
  }

  #forgetOne(): void {
    for (const [id, { streams, leaving }] of this.#nodes) {
      if (streams > 0) continue
      leaving?.cancel()
      this.#nodes.delete(id)
      return
    }
  }
}

const nodeOf = ({ nodeId, service }: NodeLoad) => ({ nodeId, service })
