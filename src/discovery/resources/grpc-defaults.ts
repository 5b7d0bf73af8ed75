import { create } from '@bufbuild/protobuf'
import { CircuitBreakers_ThresholdsSchema, CircuitBreakersSchema } from '../gen/envoy/config/cluster/v3/circuit_breaker_pb.ts'
import { type Cluster, Cluster_CommonLbConfigSchema } from '../gen/envoy/config/cluster/v3/cluster_pb.ts'

const unlimited = 0xffff_ffff

/**
 * Gives a cluster that a control plane makes for clients of gRPC alone, as Istio does for nodes whose metadata `GENERATOR` is `grpc`, gRPC's
 * defaults for what it leaves unsaid, in place of Envoy's: localities count by their weights and nobody panics (gRFC A27), and there is no
 * limit of retries under way (A44). Without them a `distribute` of Istio's would have no effect.
 */
export function withGrpcDefaults(cluster: Cluster): Cluster {
  const commonLbConfig =
    cluster.commonLbConfig ??
    create(Cluster_CommonLbConfigSchema, {
      healthyPanicThreshold: { value: 0 },
      localityConfigSpecifier: { case: 'localityWeightedLbConfig', value: {} },
    })
  const thresholds = cluster.circuitBreakers?.thresholds ?? []
  const given = thresholds.length > 0 ? thresholds : [create(CircuitBreakers_ThresholdsSchema)]
  const circuitBreakers = create(CircuitBreakersSchema, {
    thresholds: given.map(each => ({ ...each, maxRetries: each.maxRetries ?? unlimited })),
  })
  return { ...cluster, commonLbConfig, circuitBreakers }
}
