import type { LoadReport } from '../load-report.ts'
import type { ClientSideWeightedRoundRobin } from './config.ts'

/**
 * The weight of one endpoint by the load that it reports (gRFC A58). It outlives the pickers; the endpoint keeps it for as long as it is in
 * its cluster.
 */
export class HostWeight {
  #weight = 0
  #updatedAt = Number.NEGATIVE_INFINITY
  /** Since when there are reports without a gap; infinity before the first. */
  #reportsSince = Number.POSITIVE_INFINITY

  /** Takes over a report. One without requests or utilization says nothing. */
  update(report: LoadReport, config: ClientSideWeightedRoundRobin, now: number): void {
    const utilization = utilizationOf(report, config.utilizationMetricNames)
    if (report.rps === 0 || utilization === 0) return
    const penalty = (report.eps / report.rps) * config.errorUtilizationPenalty
    this.#weight = report.rps / (utilization + penalty)
    this.#updatedAt = now
    if (this.#reportsSince === Number.POSITIVE_INFINITY) this.#reportsSince = now
  }

  /** 0 while there is nothing to go by: no report, the last one expired, or the first is too young. */
  current(config: ClientSideWeightedRoundRobin, now: number): number {
    if (now - this.#updatedAt >= config.weightExpirationPeriodMs) {
      this.#reportsSince = Number.POSITIVE_INFINITY
      return 0
    }
    if (config.blackoutPeriodMs > 0 && now - this.#reportsSince < config.blackoutPeriodMs) return 0
    return this.#weight
  }

  /** The endpoint is connected anew: what is behind the address may be another process. */
  reset(): void {
    this.#reportsSince = Number.POSITIVE_INFINITY
    this.#updatedAt = Number.NEGATIVE_INFINITY
  }
}

/** What the application says of itself, else the highest of the metrics named (gRFC A114), else the CPU. */
function utilizationOf(report: LoadReport, names: readonly string[]): number {
  if (report.applicationUtilization > 0) return report.applicationUtilization
  let highest = 0
  for (const name of names) highest = Math.max(highest, metricOf(report, name))
  return highest > 0 ? highest : report.cpuUtilization
}

/** A metric by its name in `metric_names_for_computing_utilization`: a field, or `map.key`. */
function metricOf(report: LoadReport, name: string): number {
  switch (name) {
    case 'cpu_utilization':
      return report.cpuUtilization
    case 'mem_utilization':
      return report.memUtilization
    case 'application_utilization':
      return report.applicationUtilization
  }
  const dot = name.indexOf('.')
  const key = name.slice(dot + 1)
  switch (name.slice(0, dot)) {
    case 'utilization':
      return report.utilization.get(key) ?? 0
    case 'named_metrics':
      return report.namedMetrics.get(key) ?? 0
    default:
      return 0
  }
}
