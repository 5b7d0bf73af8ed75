import type { LocalityLoad } from '../discovery/model/cluster-load.ts'
import type { Locality } from '../discovery/model/endpoint.ts'
import { addEndpointMetrics, type EndpointMetric, type MetricSum } from '../policies/endpoint-metrics.ts'
import type { LoadReport } from '../policies/load-report.ts'

/** Counts the attempts to the endpoints of one locality of a cluster. Numbers only: an attempt allocates nothing. */
export class LocalityCounters {
  readonly locality: Locality
  /** The endpoints of the cluster are there. */
  isMember: boolean
  #issued: number
  #succeeded: number
  #failed: number
  #inProgress: number
  #metrics: Map<string, MetricSum>

  constructor(locality: Locality) {
    this.locality = locality
    this.isMember = false
    this.#issued = 0
    this.#succeeded = 0
    this.#failed = 0
    this.#inProgress = 0
    this.#metrics = new Map()
  }

  /** An attempt begins. */
  begin(): void {
    this.#issued++
    this.#inProgress++
  }

  /** It ends. */
  end(isSuccess: boolean): void {
    this.#inProgress--
    if (isSuccess) this.#succeeded++
    else this.#failed++
  }

  /** An answer came with a report of the endpoint's own. */
  addReport(report: LoadReport, metrics: readonly EndpointMetric[]): void {
    addEndpointMetrics(this.#metrics, metrics, report)
  }

  /** Whether attempts are in flight. */
  get isBusy(): boolean {
    return this.#inProgress > 0
  }

  /** What was counted since the last time; `null`: nothing, and nothing is in flight. What is in flight stays counted. */
  take(): LocalityLoad | null {
    const load = {
      locality: this.locality,
      issued: this.#issued,
      succeeded: this.#succeeded,
      failed: this.#failed,
      inProgress: this.#inProgress,
      metrics: this.#metrics,
    }
    if (load.issued + load.succeeded + load.failed + load.inProgress + load.metrics.size === 0) return null
    this.#issued = 0
    this.#succeeded = 0
    this.#failed = 0
    if (this.#metrics.size > 0) this.#metrics = new Map()
    return load
  }
}
