import type { LoadReport } from './load-report.ts'

type Utilization = 'cpuUtilization' | 'memUtilization' | 'applicationUtilization'
type MetricMap = 'namedMetrics' | 'utilization' | 'requestCost'

/** A value of the endpoints' load reports that goes into the reports to the control plane. */
export type EndpointMetric =
  | { readonly kind: 'utilization'; readonly name: string; readonly field: Utilization }
  | { readonly kind: 'entry'; readonly name: string; readonly map: MetricMap; readonly key: string }
  /** Every entry of a map; the names begin with the prefix. */
  | { readonly kind: 'all'; readonly prefix: string; readonly map: MetricMap }

/** The sum of one metric. */
export interface MetricSum {
  /** Requests that came back with it. */
  count: number
  total: number
}

const utilizations: ReadonlyMap<string, Utilization> = new Map([
  ['cpu_utilization', 'cpuUtilization'],
  ['mem_utilization', 'memUtilization'],
  ['application_utilization', 'applicationUtilization'],
])
const maps: ReadonlyMap<string, MetricMap> = new Map([
  ['named_metrics', 'namedMetrics'],
  ['utilization', 'utilization'],
  ['request_cost', 'requestCost'],
])
/** Names come from endpoints; what one of them makes up beyond this is not kept. */
const maxMetrics = 1000

/** Reads `Cluster.lrs_report_endpoint_metrics` (gRFC A85). A name that is not known is ignored. */
export function parseEndpointMetrics(names: readonly string[]): readonly EndpointMetric[] {
  const metrics: EndpointMetric[] = []
  for (const name of new Set(names)) {
    const field = utilizations.get(name)
    if (field !== undefined) metrics.push({ kind: 'utilization', name, field })
    const dot = name.indexOf('.')
    const map = dot < 0 ? undefined : maps.get(name.slice(0, dot))
    const key = name.slice(dot + 1)
    if (map === undefined || key === '') continue
    metrics.push(key === '*' ? { kind: 'all', prefix: name.slice(0, -1), map } : { kind: 'entry', name, map, key })
  }
  // What every entry covers is not added twice.
  const whole = new Set(metrics.map(metric => (metric.kind === 'all' ? metric.map : undefined)))
  return metrics.filter(metric => metric.kind !== 'entry' || !whole.has(metric.map))
}

/** Adds the metrics that came with an answer to `sums`, by name. A utilization of 0 is not known. */
export function addEndpointMetrics(sums: Map<string, MetricSum>, metrics: readonly EndpointMetric[], report: LoadReport): void {
  for (const metric of metrics) {
    if (metric.kind === 'utilization') {
      const value = report[metric.field]
      if (value > 0) add(sums, metric.name, value)
    } else if (metric.kind === 'entry') {
      const value = report[metric.map].get(metric.key)
      if (value !== undefined) add(sums, metric.name, value)
    } else {
      for (const [key, value] of report[metric.map]) add(sums, metric.prefix + key, value)
    }
  }
}

function add(sums: Map<string, MetricSum>, name: string, value: number): void {
  const sum = sums.get(name)
  if (sum !== undefined) {
    sum.count++
    sum.total += value
  } else if (sums.size < maxMetrics) sums.set(name, { count: 1, total: value })
}
