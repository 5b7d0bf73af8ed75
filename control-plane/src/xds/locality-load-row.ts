import type { UpstreamLocalityStats } from 'inmesh/gen/envoy/config/endpoint/v3/load_report_pb'
import { LoadCounter } from './load-counter.ts'
import type { LocalityLoadReport } from './load-report.ts'

/** Metrics of one row; their names come from clients. */
const maxMetrics = 1000

/** What one client reported of one locality of a cluster, added up. */
export class LocalityLoadRow {
  readonly #region: string
  readonly #zone: string
  readonly #subZone: string
  readonly #priority: number
  readonly #issued = new LoadCounter()
  readonly #succeeded = new LoadCounter()
  readonly #failed = new LoadCounter()
  readonly #metrics = new Map<string, { count: number; total: number }>()
  #inProgress = 0

  constructor({ locality, priority }: UpstreamLocalityStats) {
    this.#region = locality?.region ?? ''
    this.#zone = locality?.zone ?? ''
    this.#subZone = locality?.subZone ?? ''
    this.#priority = priority
  }

  /** @param seconds in which it was counted; 0: not known */
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
    if (this.#metrics.size >= maxMetrics && !this.#metrics.has(name)) return
    sum.count += Number(metric.numRequestsFinishedWithMetric)
    sum.total += metric.totalMetricValue
    this.#metrics.set(name, sum)
  }

  /** Nothing is sent any more. */
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
