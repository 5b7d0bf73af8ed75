import { create } from '@bufbuild/protobuf'
import { type Any, durationFromMs } from '@bufbuild/protobuf/wkt'
import {
  type Cluster,
  Cluster_CommonLbConfigSchema,
  Cluster_LeastRequestLbConfigSchema,
  Cluster_MaglevLbConfigSchema,
  Cluster_RingHashLbConfigSchema,
  Cluster_RoundRobinLbConfigSchema,
  Cluster_LbPolicy as LbPolicy,
  type LoadBalancingPolicy,
  LoadBalancingPolicySchema,
} from 'inmesh/gen/envoy/config/cluster/v3/cluster_pb'
import { LeastRequestSchema } from 'inmesh/gen/envoy/extensions/load_balancing_policies/least_request/v3/least_request_pb'
import { MaglevSchema } from 'inmesh/gen/envoy/extensions/load_balancing_policies/maglev/v3/maglev_pb'
import { RandomSchema } from 'inmesh/gen/envoy/extensions/load_balancing_policies/random/v3/random_pb'
import {
  RingHash_HashFunction as HashFunction,
  RingHashSchema,
} from 'inmesh/gen/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash_pb'
import { RoundRobinSchema } from 'inmesh/gen/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin_pb'
import { WrrLocalitySchema } from 'inmesh/gen/envoy/extensions/load_balancing_policies/wrr_locality/v3/wrr_locality_pb'
import type { LoadBalancer } from '../model/destination-rule.ts'
import { pack } from './config-source.ts'
import type { ClusterPolicy } from './traffic-policies.ts'
import type { View } from './view.ts'

type Balancing = Pick<Cluster, 'lbPolicy' | 'lbConfig' | 'commonLbConfig'> & Partial<Pick<Cluster, 'loadBalancingPolicy'>>

/**
 * The balancer of a cluster: least request unless a rule says otherwise, and no panic unless it says when, as in Istio.
 *
 * Proxyless clients get it as `load_balancing_policy` with a second choice, because gRPC refuses a cluster whose `lb_policy` it does
 * not know and skips what it does not know in a list; what they find in `lb_policy` is the second choice.
 */
export function loadBalancing({ loadBalancer, outlierDetection }: ClusterPolicy, view: View): Balancing {
  const weighted = isLocalityWeighted(loadBalancer, outlierDetection !== undefined)
  const commonLbConfig = create(Cluster_CommonLbConfigSchema, {
    healthyPanicThreshold: { value: outlierDetection?.minHealthPercent ?? 0 },
    ...(weighted ? { localityConfigSpecifier: { case: 'localityWeightedLbConfig', value: {} } } : {}),
  })
  const simple = simplePolicy(loadBalancer)
  const list = view.kind === 'envoy' ? undefined : policyList(loadBalancer, weighted)
  if (!list) return { ...simple, commonLbConfig }
  const second = simple.lbPolicy === LbPolicy.MAGLEV ? LbPolicy.RING_HASH : LbPolicy.ROUND_ROBIN
  return { lbPolicy: second, lbConfig: { case: undefined }, loadBalancingPolicy: list, commonLbConfig }
}

function simplePolicy(balancer: LoadBalancer | undefined): Pick<Cluster, 'lbPolicy' | 'lbConfig'> {
  const policy = balancer?.policy ?? 'least-request'
  const warmup = balancer?.warmup
  const none = { case: undefined }
  switch (policy) {
    case 'round-robin': {
      const value = create(Cluster_RoundRobinLbConfigSchema, slowStart(warmup))
      return { lbPolicy: LbPolicy.ROUND_ROBIN, lbConfig: warmup ? { case: 'roundRobinLbConfig', value } : none }
    }
    case 'least-request': {
      const value = create(Cluster_LeastRequestLbConfigSchema, slowStart(warmup))
      return { lbPolicy: LbPolicy.LEAST_REQUEST, lbConfig: warmup ? { case: 'leastRequestLbConfig', value } : none }
    }
    case 'random':
      return { lbPolicy: LbPolicy.RANDOM, lbConfig: none }
  }
  const { table } = policy
  if (table.kind === 'maglev') {
    const value = create(Cluster_MaglevLbConfigSchema, { tableSize: BigInt(table.size) })
    return { lbPolicy: LbPolicy.MAGLEV, lbConfig: { case: 'maglevLbConfig', value } }
  }
  const minimum = table.minimumSize === undefined ? {} : { minimumRingSize: BigInt(table.minimumSize) }
  const value = create(Cluster_RingHashLbConfigSchema, minimum)
  return { lbPolicy: LbPolicy.RING_HASH, lbConfig: { case: 'ringHashLbConfig', value } }
}

/** `undefined` where every client knows `lb_policy`. */
function policyList(balancer: LoadBalancer | undefined, weighted: boolean): LoadBalancingPolicy | undefined {
  const policy = balancer?.policy ?? 'least-request'
  const start = slowStart(balancer?.warmup)
  const roundRobin = pack(RoundRobinSchema, start)
  switch (policy) {
    case 'round-robin':
      return undefined
    case 'least-request':
      return byLocality(policies(['least_request', pack(LeastRequestSchema, start)], ['round_robin', roundRobin]), weighted)
    case 'random':
      return byLocality(policies(['random', pack(RandomSchema, {})], ['round_robin', roundRobin]), weighted)
  }
  const { table } = policy
  if (table.kind !== 'maglev') return undefined
  const localityWeighted = weighted ? { localityWeightedLbConfig: {} } : {}
  const maglev = pack(MaglevSchema, { tableSize: BigInt(table.size), ...localityWeighted })
  // gRPC refuses the cluster unless the hash function is named.
  const ringHash = pack(RingHashSchema, { hashFunction: HashFunction.XX_HASH, ...localityWeighted })
  return policies(['maglev', maglev], ['ring_hash', ringHash])
}

/** gRPC weighs localities by a policy around the others alone, and not by a field of theirs (gRFC A52). */
const byLocality = (list: LoadBalancingPolicy, weighted: boolean): LoadBalancingPolicy =>
  weighted ? policies(['wrr_locality', pack(WrrLocalitySchema, { endpointPickingPolicy: list })]) : list

const policies = (...list: readonly (readonly [string, Any])[]): LoadBalancingPolicy =>
  create(LoadBalancingPolicySchema, {
    policies: list.map(([name, typedConfig]) => ({
      typedExtensionConfig: { name: `envoy.load_balancing_policies.${name}`, typedConfig },
    })),
  })

function isLocalityWeighted(balancer: LoadBalancer | undefined, hasOutlierDetection: boolean): boolean {
  const locality = balancer?.locality
  if (!locality?.enabled) return false
  const failsOver = locality.failover.length > 0 || locality.failoverPriority.length > 0
  return locality.distribute.length > 0 || (hasOutlierDetection && failsOver)
}

/** The field `slow_start_config`, which looks the same in every message that has it. */
function slowStart(warmup: LoadBalancer['warmup']) {
  if (!warmup) return {}
  // Envoy wants a key for a value that could be overridden at run time.
  const { aggression, minimumPercent } = warmup
  return {
    slowStartConfig: {
      slowStartWindow: durationFromMs(warmup.durationMs),
      ...(aggression === undefined ? {} : { aggression: { defaultValue: aggression, runtimeKey: 'inmesh.warmup.aggression' } }),
      ...(minimumPercent === undefined ? {} : { minWeightPercent: { value: minimumPercent } }),
    },
  }
}
