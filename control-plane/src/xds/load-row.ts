import { durationMs } from '@bufbuild/protobuf/wkt'
import type { ClusterStats, UpstreamLocalityStats } from 'inmesh/gen/envoy/config/endpoint/v3/load_report_pb'
import type { LoadCount, LoadReport, LocalityLoadReport } from './load-report.ts'

class Counter {
  #total = 0
  #perSecond = 0

  /** @param seconds in which it grew; 0: not known */
  add(amount: bigint, seconds: number): void {
    this.#total += Number(amount)
    this.#perSecond = seconds > 0 ? Number(amount) / seconds : 0
  }

  rest(): void {
    this.#perSecond = 0
  }

  get count(): LoadCount {
    return { total: this.#total, perSecond: this.#perSecond }
  }
}

/** Categories and metrics of one row; their names come from clients. */
const maxNames = 1000

class LocalityRow {
  readonly #region: string
  readonly #zone: string
  readonly #subZone: string
  readonly #priority: number
  readonly #issued = new Counter()
  readonly #succeeded = new Counter()
  readonly #failed = new Counter()
  readonly #metrics = new Map<string, { count: number; total: number }>()
  #inProgress = 0

  constructor({ locality, priority }: UpstreamLocalityStats) {
    this.#region = locality?.region ?? ''
    this.#zone = locality?.zone ?? ''
    this.#subZone = locality?.subZone ?? ''
    this.#priority = priority
  }

  add(stats: UpstreamLocalityStats, seconds: number): void {
    const { cpuUtilization, memUtilization, applicationUtilization } = stats
    this.#issued.add(stats.totalIssuedRequests, seconds)
    this.#succeeded.add(stats.totalSuccessfulRequests, seconds)
    this.#failed.add(stats.totalErrorRequests, seconds)
    this.#inProgress = Number(stats.totalRequestsInProgress)
    for (const [name, metric] of Object.entries({
      cpu_utilization: cpuUtilization,
      mem_utilization: memUtilization,
      application_utilization: applicationUtilization,
    }))
      if (metric) this.#addMetric(name, metric)
    for (const metric of stats.loadMetricStats) this.#addMetric(metric.metricName, metric)
  }

  #addMetric(name: string, metric: { readonly numRequestsFinishedWithMetric: bigint; readonly totalMetricValue: number }): void {
    const sum = this.#metrics.get(name) ?? { count: 0, total: 0 }
    if (this.#metrics.size >= maxNames && !this.#metrics.has(name)) return
    sum.count += Number(metric.numRequestsFinishedWithMetric)
    sum.total += metric.totalMetricValue
    this.#metrics.set(name, sum)
  }

  rest(): void {
    for (const counter of [this.#issued, this.#succeeded, this.#failed]) counter.rest()
    this.#inProgress = 0
  }

  get report(): LocalityLoadReport {
    return {
      region: this.#region,
      zone: this.#zone,
      subZone: this.#subZone,
      priority: this.#priority,
      issued: this.#issued.count,
      succeeded: this.#succeeded.count,
      failed: this.#failed.count,
      inProgress: this.#inProgress,
      metrics: Object.fromEntries(Array.from(this.#metrics, ([name, sum]) => [name, { ...sum }])),
    }
  }
}

/** Localities of one cluster; of more, those beyond are not kept. */
const maxLocalities = 1000

/** What one client reported of one cluster, added up. */
export class LoadRow {
  readonly #cluster: string
  readonly #edsServiceName: string
  readonly #dropped = new Counter()
  readonly #categories = new Map<string, Counter>()
  readonly #localities = new Map<string, LocalityRow>()
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
      getOrAdd(this.#categories, category, maxNames, () => new Counter())?.add(droppedCount, seconds)
    for (const each of stats.upstreamLocalityStats) {
      const { region = '', zone = '', subZone = '' } = each.locality ?? {}
      const key = JSON.stringify([region, zone, subZone, each.priority])
      getOrAdd(this.#localities, key, maxLocalities, () => new LocalityRow(each))?.add(each, seconds)
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
