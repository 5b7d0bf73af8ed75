import type { WeightedCluster as WeightedClusterMessage } from '../gen/envoy/config/route/v3/route_components_pb.ts'
import type { ClusterSpecifier } from '../model/route.ts'
import { decodeHeaderMutations } from './header-mutations.ts'
import { decodeFilterOverrides } from './http-filter.ts'
import type { Problems } from './problems.ts'

const maxTotalWeight = 0xffff_ffff

/** Decodes `WeightedCluster`. The sum of the weights counts, never the deprecated `total_weight` (gRFC A28). */
export function decodeWeightedClusters(message: WeightedClusterMessage, problems: Problems): ClusterSpecifier {
  let totalWeight = 0
  const clusters = message.clusters.map((cluster, index) => {
    const at = problems.at('clusters', index)
    if (cluster.clusterHeader !== '') at.addAt('cluster_header', 'is not supported')
    else at.required('name', cluster.name)
    const weight = cluster.weight ?? 0
    totalWeight += weight
    const rewrite = cluster.hostRewriteSpecifier.value
    return {
      name: cluster.name,
      weight,
      headerMutations: decodeHeaderMutations(cluster, at),
      hostRewrite: rewrite === '' ? undefined : rewrite,
      filterOverrides: decodeFilterOverrides(cluster.typedPerFilterConfig, at),
    }
  })
  if (totalWeight === 0) problems.add('the weights must add up to more than 0')
  if (totalWeight > maxTotalWeight) problems.add(`the weights must not add up to more than ${maxTotalWeight}, got ${totalWeight}`)
  const headerName = message.randomValueSpecifier.value?.toLowerCase() ?? ''
  return { kind: 'weighted', clusters, totalWeight, headerName }
}
