import { durationMs } from '@bufbuild/protobuf/wkt'
import type { ClusterStats } from 'inmesh/gen/envoy/config/endpoint/v3/load_report_pb'
import { LoadCounter } from './load-counter.ts'
import type { LoadReport } from './load-report.ts'
import { LocalityLoadRow } from './locality-load-row.ts'

/** Categories of one row; their names come from clients. */
const maxCategories = 1000
/** Localities of one cluster; of more, those beyond are not kept. */
const maxLocalities = 1000

/** What one client reported of one cluster, added up. */
export class LoadRow {
  readonly #cluster: string
  readonly #edsServiceName: string
  readonly #dropped = new LoadCounter()
  readonly #categories = new Map<string, LoadCounter>()
  readonly #localities = new Map<string, LocalityLoadRow>()
  #reportedAtMs = 0

  constructor({ clusterName, clusterServiceName }: ClusterStats) {
    this.#cluster = clusterName
    this.#edsServiceName = clusterServiceName
  }

  /** Wall-clock time in ms of the last report that had it. */
  get reportedAtMs(): number {
    return this.#reportedAtMs
  }

  /** Adds a report. What it does not have has come to rest. */
  add(stats: ClusterStats, reportedAtMs: number): void {
    const seconds = stats.loadReportInterval === undefined ? 0 : durationMs(stats.loadReportInterval) / 1000
    this.rest()
    this.#reportedAtMs = reportedAtMs
    this.#dropped.add(stats.totalDroppedRequests, seconds)
    for (const { category, droppedCount } of stats.droppedRequests)
      getOrAdd(this.#categories, category, maxCategories, () => new LoadCounter())?.add(droppedCount, seconds)
    for (const each of stats.upstreamLocalityStats) {
      const { region = '', zone = '', subZone = '' } = each.locality ?? {}
      const key = JSON.stringify([region, zone, subZone, each.priority])
      getOrAdd(this.#localities, key, maxLocalities, () => new LocalityLoadRow(each))?.add(each, seconds)
    }
  }

  /** Nothing is sent any more. */
  rest(): void {
    this.#dropped.rest()
    for (const counter of this.#categories.values()) counter.rest()
    for (const locality of this.#localities.values()) locality.rest()
  }

  /** @param node who reported it */
  report(node: Pick<LoadReport, 'nodeId' | 'service'>): LoadReport {
    return {
      ...node,
      cluster: this.#cluster,
      edsServiceName: this.#edsServiceName,
      reportedAtMs: this.#reportedAtMs,
      dropped: this.#dropped.count,
      droppedByCategory: Object.fromEntries(Array.from(this.#categories, ([category, { count }]) => [category, count])),
      localities: Array.from(this.#localities.values(), ({ report }) => report),
    }
  }
}

/** `undefined`: there are `max` others already. */
function getOrAdd<V>(map: Map<string, V>, key: string, max: number, make: () => V): V | undefined {
  const known = map.get(key)
  if (known !== undefined || map.size >= max) return known
  const made = make()
  map.set(key, made)
  return made
}
