import type { JsonObject, Message } from '@bufbuild/protobuf'
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import type { Any } from '@bufbuild/protobuf/wkt'
import type { CommonLbConfig, LoadBalancingConfig, SlowStartConfig } from '../../policies/load-balancing/config.ts'
import { loadBalancerFactory } from '../../policies/load-balancing/custom.ts'
import type { Cluster, Cluster_SlowStartConfig, LoadBalancingPolicy } from '../gen/envoy/config/cluster/v3/cluster_pb.ts'
import type { ClientSideWeightedRoundRobin } from '../gen/envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3/client_side_weighted_round_robin_pb.ts'
import type {
  LocalityLbConfig,
  SlowStartConfig as SlowStartMessage,
} from '../gen/envoy/extensions/load_balancing_policies/common/v3/common_pb.ts'
import { Cluster_LbPolicy } from '../gen/tables.ts'
import {
  clientSideWeightedRoundRobinType,
  leastRequestType,
  maglevType,
  pickFirstType,
  randomType,
  ringHashType,
  roundRobinType,
  wrrLocalityType,
} from '../message-types.ts'
import { readTypedConfig, structOf, type TypedConfig } from './any.ts'
import { durationMs, optionalDurationMs } from './duration.ts'
import { enumName } from './enum-name.ts'
import { decodePercent } from './percent.ts'
import type { Problems } from './problems.ts'

/** A balancer, and what its own configuration says about localities (`undefined`: nothing). */
interface DecodedPolicy {
  readonly loadBalancing: LoadBalancingConfig
  readonly localityWeighted: boolean | undefined
  readonly failTrafficOnPanic: boolean | undefined
}

const roundRobin: LoadBalancingConfig = { kind: 'round-robin', slowStart: undefined }
const maxPolicyDepth = 16
const maxRingSize = 8_388_608
const maxNamedRingSize = 4096
const maxTableSize = 5_000_011

/**
 * Decodes the balancer of a cluster and its locality settings. `load_balancing_policy` wins over `lb_policy`, and of its list
 * the first that is supported (gRFC A52).
 */
export function decodeLoadBalancing(
  message: Cluster,
  problems: Problems,
): { readonly loadBalancing: LoadBalancingConfig; readonly commonLb: CommonLbConfig } {
  if ((message.lbSubsetConfig?.subsetSelectors.length ?? 0) > 0) problems.addAt('lb_subset_config', 'is not supported')
  const policy =
    message.loadBalancingPolicy === undefined
      ? decodeLbPolicy(message, problems)
      : (decodePolicyList(message.loadBalancingPolicy, 0, problems.at('load_balancing_policy')) ?? unsupported(problems))
  const common = message.commonLbConfig
  const locality = common?.localityConfigSpecifier
  return {
    loadBalancing: policy.loadBalancing,
    commonLb: {
      healthyPanicThreshold: decodePercent(
        common?.healthyPanicThreshold,
        50,
        problems.at('common_lb_config').at('healthy_panic_threshold'),
      ),
      failTrafficOnPanic:
        policy.failTrafficOnPanic ?? (locality?.case === 'zoneAwareLbConfig' && locality.value.failTrafficOnPanic),
      localityWeighted: policy.localityWeighted ?? locality?.case === 'localityWeightedLbConfig',
    },
  }
}

function unsupported(problems: Problems): DecodedPolicy {
  problems.addAt('load_balancing_policy', 'names no policy that is supported')
  return plain(roundRobin)
}

function plain(loadBalancing: LoadBalancingConfig): DecodedPolicy {
  return { loadBalancing, localityWeighted: undefined, failTrafficOnPanic: undefined }
}

function decodeLbPolicy(message: Cluster, problems: Problems): DecodedPolicy {
  const { lbConfig } = message
  switch (message.lbPolicy) {
    case Cluster_LbPolicy.ROUND_ROBIN: {
      const config = lbConfig.case === 'roundRobinLbConfig' ? lbConfig.value : undefined
      return plain({
        kind: 'round-robin',
        slowStart: decodeSlowStart(config?.slowStartConfig, problems.at('round_robin_lb_config').at('slow_start_config')),
      })
    }
    case Cluster_LbPolicy.LEAST_REQUEST: {
      const config = lbConfig.case === 'leastRequestLbConfig' ? lbConfig.value : undefined
      return plain(decodeLeastRequest(config, problems.at('least_request_lb_config')))
    }
    case Cluster_LbPolicy.RING_HASH: {
      const config = lbConfig.case === 'ringHashLbConfig' ? lbConfig.value : undefined
      const at = problems.at('ring_hash_lb_config')
      if (config !== undefined && config.hashFunction !== 0) at.addAt('hash_function', 'must be XX_HASH')
      return plain(decodeRingHash(config, at))
    }
    case Cluster_LbPolicy.MAGLEV: {
      const config = lbConfig.case === 'maglevLbConfig' ? lbConfig.value : undefined
      return plain(decodeMaglev(config, problems.at('maglev_lb_config')))
    }
    case Cluster_LbPolicy.RANDOM:
      return plain({ kind: 'random' })
    // An aggregate cluster has no balancer of its own.
    case Cluster_LbPolicy.CLUSTER_PROVIDED:
      if (message.clusterDiscoveryType.case === 'clusterType') return plain(roundRobin)
  }
  const given = enumName(Cluster_LbPolicy, message.lbPolicy)
  problems.addAt('lb_policy', `must be ROUND_ROBIN, LEAST_REQUEST, RING_HASH, RANDOM or MAGLEV, got ${given}`)
  return plain(roundRobin)
}

function decodePolicyList(message: LoadBalancingPolicy, depth: number, problems: Problems): DecodedPolicy | undefined {
  if (depth >= maxPolicyDepth) {
    problems.add(`is nested more than ${maxPolicyDepth} deep`)
    return plain(roundRobin)
  }
  for (const [index, { typedExtensionConfig }] of message.policies.entries()) {
    const at = problems.at('policies', index).at('typed_extension_config')
    const policy = decodePolicy(typedExtensionConfig?.typedConfig, depth, at)
    if (policy !== undefined) return policy
  }
  return undefined
}

/** `undefined`: a policy that is not supported, so that the next of the list is looked at. */
function decodePolicy(any: Any | undefined, depth: number, problems: Problems): DecodedPolicy | undefined {
  const typed = readTypedConfig(any)
  switch (typed.type) {
    case roundRobinType.typeName: {
      const message = typed.as(roundRobinType, problems)
      const slowStart = decodeSlowStart(message?.slowStartConfig, problems.at('slow_start_config'))
      return withLocality({ kind: 'round-robin', slowStart }, message?.localityLbConfig)
    }
    case leastRequestType.typeName: {
      const message = typed.as(leastRequestType, problems)
      return withLocality(decodeLeastRequest(message, problems), message?.localityLbConfig)
    }
    case randomType.typeName:
      return withLocality({ kind: 'random' }, typed.as(randomType, problems)?.localityLbConfig)
    case ringHashType.typeName: {
      const message = typed.as(ringHashType, problems)
      if (message !== undefined && message.hashFunction > 1) problems.addAt('hash_function', 'must be XX_HASH')
      return weighted(decodeRingHash(message, problems), message?.localityWeightedLbConfig !== undefined)
    }
    case maglevType.typeName: {
      const message = typed.as(maglevType, problems)
      return weighted(decodeMaglev(message, problems), message?.localityWeightedLbConfig !== undefined)
    }
    case pickFirstType.typeName:
      return plain({ kind: 'pick-first', shuffle: typed.as(pickFirstType, problems)?.shuffleAddressList ?? false })
    case wrrLocalityType.typeName:
      return decodeWrrLocality(typed, depth, problems)
    case clientSideWeightedRoundRobinType.typeName:
      return plain(decodeWeightedRoundRobin(typed.as(clientSideWeightedRoundRobinType, problems), problems))
    default:
      return decodeCustom(any, typed, problems) ?? decodeNamedPolicy(any, typed, problems)
  }
}

/** A policy of the application, which reaches a client as a `TypedStruct` (gRFC A52). */
function decodeCustom(any: Any | undefined, { type }: TypedConfig, problems: Problems): DecodedPolicy | undefined {
  const factory = loadBalancerFactory(type)
  const config = any === undefined || factory === undefined ? undefined : structOf(any)
  if (factory === undefined || config === undefined) return undefined
  try {
    factory.check?.(config)
  } catch (error) {
    problems.add(error instanceof Error ? error.message : String(error))
  }
  return plain({ kind: 'custom', type, config })
}

/** gRPC's own names, which reach a client as a `TypedStruct` with the fields of a service config (gRFC A52). */
function decodeNamedPolicy(any: Any | undefined, typed: TypedConfig, problems: Problems): DecodedPolicy | undefined {
  const config = any === undefined ? undefined : structOf(any)
  if (config === undefined) return undefined
  switch (typed.type) {
    case 'round_robin':
      return plain(roundRobin)
    case 'pick_first':
      return plain({ kind: 'pick-first', shuffle: config.shuffleAddressList === true })
    case 'least_request':
    case 'least_request_experimental':
      return plain(decodeLeastRequest({ choiceCount: wholeNumber(config, 'choiceCount', problems) }, problems))
    case 'ring_hash_experimental':
      return plain(decodeNamedRingHash(config, problems))
    default:
      return undefined
  }
}

/** gRPC's own defaults: a ring of at most 4,096 (gRFC A42). */
function decodeNamedRingHash(config: JsonObject, problems: Problems): LoadBalancingConfig {
  const maximumRingSize = Math.min(wholeNumber(config, 'maxRingSize', problems) ?? maxNamedRingSize, maxNamedRingSize)
  const minimumRingSize = Math.min(wholeNumber(config, 'minRingSize', problems) ?? 1024, maximumRingSize)
  return { kind: 'ring-hash', minimumRingSize, maximumRingSize }
}

function wholeNumber(config: JsonObject, field: string, problems: Problems): number | undefined {
  const value = config[field] ?? undefined
  if (value === undefined) return undefined
  const number = typeof value === 'string' ? Number(value) : value
  if (typeof number === 'number' && Number.isInteger(number) && number > 0) return number
  problems.addAt(field, `must be a whole number above 0, got ${JSON.stringify(value)}`)
  return undefined
}

/** gRFC A58; `weight_update_period` below 100 ms counts as 100 ms. */
function decodeWeightedRoundRobin(message: ClientSideWeightedRoundRobin | undefined, problems: Problems): LoadBalancingConfig {
  const oobPeriodMs = optionalDurationMs(message?.oobReportingPeriod, 'positive', problems, 'oob_reporting_period') ?? 10_000
  const updateMs = optionalDurationMs(message?.weightUpdatePeriod, 'positive', problems, 'weight_update_period') ?? 1000
  const penalty = message?.errorUtilizationPenalty ?? 1
  if (!(penalty >= 0)) problems.addAt('error_utilization_penalty', `must be >= 0, got ${penalty}`)
  return {
    kind: 'client-side-weighted-round-robin',
    oobReportingPeriodMs: message?.enableOobLoadReport === true ? oobPeriodMs : 0,
    blackoutPeriodMs: optionalDurationMs(message?.blackoutPeriod, 'any', problems, 'blackout_period') ?? 10_000,
    weightExpirationPeriodMs:
      optionalDurationMs(message?.weightExpirationPeriod, 'positive', problems, 'weight_expiration_period') ?? 180_000,
    weightUpdatePeriodMs: Math.max(100, updateMs),
    errorUtilizationPenalty: penalty,
    utilizationMetricNames: stringsOf(message, 7),
  }
}

/** A repeated string that is newer than the type: of `metric_names_for_computing_utilization` (gRFC A114) the number is known. */
function stringsOf(message: Message | undefined, field: number): string[] {
  const values: string[] = []
  for (const { no, wireType, data } of message?.$unknown ?? [])
    if (no === field && wireType === WireType.LengthDelimited) values.push(new BinaryReader(data).string())
  return values
}

function decodeWrrLocality(typed: TypedConfig, depth: number, problems: Problems): DecodedPolicy | undefined {
  const list = typed.as(wrrLocalityType, problems)?.endpointPickingPolicy
  if (list === undefined) {
    problems.addAt('endpoint_picking_policy', 'is required')
    return plain(roundRobin)
  }
  const inner = decodePolicyList(list, depth + 1, problems.at('endpoint_picking_policy'))
  if (inner === undefined) problems.addAt('endpoint_picking_policy', 'names no policy that is supported')
  return { ...(inner ?? plain(roundRobin)), localityWeighted: true }
}

function withLocality(loadBalancing: LoadBalancingConfig, message: LocalityLbConfig | undefined): DecodedPolicy {
  const specifier = message?.localityConfigSpecifier
  if (specifier?.case === undefined) return plain(loadBalancing)
  return {
    loadBalancing,
    localityWeighted: specifier.case === 'localityWeightedLbConfig',
    failTrafficOnPanic: specifier.case === 'zoneAwareLbConfig' && specifier.value.failTrafficOnPanic,
  }
}

function weighted(loadBalancing: LoadBalancingConfig, localityWeighted: boolean): DecodedPolicy {
  return { loadBalancing, localityWeighted: localityWeighted || undefined, failTrafficOnPanic: undefined }
}

function decodeLeastRequest(
  message:
    | {
        readonly choiceCount?: number | undefined
        readonly activeRequestBias?: { readonly defaultValue: number } | undefined
        readonly slowStartConfig?: Cluster_SlowStartConfig | SlowStartMessage | undefined
      }
    | undefined,
  problems: Problems,
): LoadBalancingConfig {
  const choiceCount = message?.choiceCount ?? 2
  if (choiceCount < 2) problems.addAt('choice_count', `must be >= 2, got ${choiceCount}`)
  const activeRequestBias = message?.activeRequestBias?.defaultValue ?? 1
  if (!(activeRequestBias >= 0)) problems.addAt('active_request_bias', `must be >= 0, got ${activeRequestBias}`)
  return {
    kind: 'least-request',
    choiceCount,
    activeRequestBias,
    slowStart: decodeSlowStart(message?.slowStartConfig, problems.at('slow_start_config')),
  }
}

function decodeRingHash(
  message: { readonly minimumRingSize?: bigint | undefined; readonly maximumRingSize?: bigint | undefined } | undefined,
  problems: Problems,
): LoadBalancingConfig {
  const minimumRingSize = Number(message?.minimumRingSize ?? 1024)
  const maximumRingSize = Number(message?.maximumRingSize ?? maxRingSize)
  if (minimumRingSize < 1 || minimumRingSize > maxRingSize)
    problems.addAt('minimum_ring_size', `must be in [1, ${maxRingSize}], got ${minimumRingSize}`)
  else if (minimumRingSize > maximumRingSize)
    problems.addAt('minimum_ring_size', `must be <= maximum_ring_size, got ${minimumRingSize} > ${maximumRingSize}`)
  if (maximumRingSize > maxRingSize) problems.addAt('maximum_ring_size', `must be <= ${maxRingSize}, got ${maximumRingSize}`)
  return { kind: 'ring-hash', minimumRingSize, maximumRingSize }
}

function decodeMaglev(message: { readonly tableSize?: bigint | undefined } | undefined, problems: Problems): LoadBalancingConfig {
  const tableSize = Number(message?.tableSize ?? 65_537)
  if (tableSize > maxTableSize || !isPrime(tableSize))
    problems.addAt('table_size', `must be a prime <= ${maxTableSize}, got ${tableSize}`)
  return { kind: 'maglev', tableSize }
}

function isPrime(value: number): boolean {
  if (value < 2) return false
  for (let factor = 2; factor * factor <= value; factor++) if (value % factor === 0) return false
  return true
}

function decodeSlowStart(
  message: Cluster_SlowStartConfig | SlowStartMessage | undefined,
  problems: Problems,
): SlowStartConfig | undefined {
  if (message === undefined) return undefined
  if (message.slowStartWindow === undefined) problems.addAt('slow_start_window', 'is required')
  const aggression = message.aggression?.defaultValue ?? 1
  if (!(aggression > 0)) problems.addAt('aggression', `must be > 0, got ${aggression}`)
  return {
    windowMs: message.slowStartWindow ? durationMs(message.slowStartWindow, 'positive', problems.at('slow_start_window')) : 0,
    aggression,
    minWeightPercent: decodePercent(message.minWeightPercent, 10, problems.at('min_weight_percent')),
  }
}
