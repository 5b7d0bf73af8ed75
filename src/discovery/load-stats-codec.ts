import type { MessageInitShape } from '@bufbuild/protobuf'
import type { GenMessage } from '@bufbuild/protobuf/codegenv2'
import type { Duration } from '@bufbuild/protobuf/wkt'
import { nodeMessage } from './discovery-codec.ts'
import type { ClusterStatsSchema, UpstreamLocalityStatsSchema } from './gen/envoy/config/endpoint/v3/load_report_pb.ts'
import type { LoadStatsRequest, LoadStatsResponse } from './load-stats-stream.ts'
import { loadStatsRequestType, loadStatsResponseType } from './message-types.ts'
import type { ClusterLoad, LocalityLoad } from './model/cluster-load.ts'

/** A request on the wire. */
export function encodeLoadStats({ node, loads }: LoadStatsRequest): Uint8Array {
  return loadStatsRequestType.encode({
    ...(node === undefined ? {} : { node: nodeMessage(node) }),
    clusterStats: loads.map(clusterStats),
  })
}

/**
 * A response off the wire.
 *
 * @throws Error when it cannot be parsed, or does not say how often to report
 */
export function decodeLoadStats(bytes: Uint8Array): LoadStatsResponse {
  const { clusters, sendAllClusters, loadReportingInterval } = loadStatsResponseType.decode(bytes)
  const { seconds, nanos } = loadReportingInterval ?? { seconds: 0n, nanos: 0 }
  const intervalMs = Number(seconds) * 1000 + nanos / 1e6
  if (!(intervalMs > 0)) throw new Error(`load_reporting_interval: must be > 0, got ${intervalMs} ms`)
  return { clusters: sendAllClusters ? null : new Set(clusters), intervalMs }
}

function clusterStats(load: ClusterLoad): MessageInitShape<typeof ClusterStatsSchema> {
  return {
    clusterName: load.cluster,
    clusterServiceName: load.edsServiceName,
    upstreamLocalityStats: load.localities.map(localityStats),
    totalDroppedRequests: BigInt(load.dropped),
    droppedRequests: Array.from(load.droppedByCategory, ([category, count]) => ({ category, droppedCount: BigInt(count) })),
    loadReportInterval: durationOf(Math.round(load.intervalMs)),
  }
}

function durationOf(ms: number): MessageInitShape<GenMessage<Duration>> {
  return { seconds: BigInt(Math.trunc(ms / 1000)), nanos: (ms % 1000) * 1e6 }
}

function localityStats(load: LocalityLoad): MessageInitShape<typeof UpstreamLocalityStatsSchema> {
  const { locality, issued, succeeded, failed, inProgress, metrics } = load
  return {
    locality: { ...locality },
    totalIssuedRequests: BigInt(issued),
    totalSuccessfulRequests: BigInt(succeeded),
    totalErrorRequests: BigInt(failed),
    totalRequestsInProgress: BigInt(inProgress),
    ...metricStats(metrics),
  }
}

type MetricFields = Pick<
  MessageInitShape<typeof UpstreamLocalityStatsSchema>,
  'cpuUtilization' | 'memUtilization' | 'applicationUtilization' | 'loadMetricStats'
>

/** The three utilizations have fields of their own (gRFC A85). */
function metricStats(metrics: LocalityLoad['metrics']): MetricFields {
  if (metrics.size === 0) return {}
  const unnamed = (name: string) => {
    const sum = metrics.get(name)
    return sum && { numRequestsFinishedWithMetric: BigInt(sum.count), totalMetricValue: sum.total }
  }
  const cpuUtilization = unnamed('cpu_utilization')
  const memUtilization = unnamed('mem_utilization')
  const applicationUtilization = unnamed('application_utilization')
  const named = Array.from(metrics).filter(([name]) => name.includes('.'))
  return {
    ...(cpuUtilization === undefined ? {} : { cpuUtilization }),
    ...(memUtilization === undefined ? {} : { memUtilization }),
    ...(applicationUtilization === undefined ? {} : { applicationUtilization }),
    loadMetricStats: named.map(([metricName, { count, total }]) => ({
      metricName,
      numRequestsFinishedWithMetric: BigInt(count),
      totalMetricValue: total,
    })),
  }
}
