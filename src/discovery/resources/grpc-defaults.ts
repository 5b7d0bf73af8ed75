import type { Cluster } from '../gen/envoy/config/cluster/v3/cluster_pb.ts'
import {
  circuitBreakersThresholdsType,
  circuitBreakersType,
  clusterCommonLbConfigType,
  localityWeightedLbConfigType,
  percentType,
} from '../message-types.ts'

const unlimited = 0xffff_ffff

/**
 * Gives a cluster that a control plane makes for clients of gRPC alone, as Istio does for nodes whose metadata `GENERATOR` is `grpc`, gRPC's
 * defaults for what it leaves unsaid, in place of Envoy's: localities count by their weights and nobody panics (gRFC A27), and there is no
 * limit of retries under way (A44) nor of calls that wait for a connection (A32). Without them a `distribute` of Istio's would have no effect.
 */
export function withGrpcDefaults(cluster: Cluster): Cluster {
  const commonLbConfig = cluster.commonLbConfig ?? {
    ...clusterCommonLbConfigType.create(),
    healthyPanicThreshold: percentType.create(),
    localityConfigSpecifier: { case: 'localityWeightedLbConfig', value: localityWeightedLbConfigType.create() },
  }
  const thresholds = cluster.circuitBreakers?.thresholds ?? []
  const given = thresholds.length > 0 ? thresholds : [circuitBreakersThresholdsType.create()]
  const circuitBreakers = {
    ...circuitBreakersType.create(),
    thresholds: given.map(each => ({
      ...each,
      maxRetries: each.maxRetries ?? unlimited,
      maxPendingRequests: each.maxPendingRequests ?? unlimited,
    })),
  }
  return { ...cluster, commonLbConfig, circuitBreakers }
}
