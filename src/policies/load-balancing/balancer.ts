import { type Clock, type Random, systemClock } from '../../runtime.ts'
import { ClientSideWeightedRoundRobinPicker } from './client-side-weighted-round-robin.ts'
import type { CommonLbConfig, LoadBalancingConfig } from './config.ts'
import { CustomPicker } from './custom.ts'
import { DeferredPicker } from './deferred.ts'
import { isHash64Loaded, loadHash64 } from './hash64.ts'
import { countHosts, type Host, isDegraded, isHealthy, type LocalityHosts, type PriorityHosts } from './host.ts'
import { leastRequest } from './least-request.ts'
import { type LocalityPick, LocalityPicker } from './locality.ts'
import { MaglevPicker } from './maglev.ts'
import { PickFirstPicker } from './pick-first.ts'
import { emptyPicker, type LeafOptions, type Picker } from './picker.ts'
import { PriorityPicker } from './priority.ts'
import { priorityLoad } from './priority-load.ts'
import { RandomPicker } from './random.ts'
import { RingHashPicker } from './ring-hash.ts'
import { roundRobin } from './round-robin.ts'
import { type WeightedHosts, weighHosts } from './weighted-hosts.ts'

/** How the hosts of a cluster are balanced. */
export interface BalancerOptions {
  readonly random: Random
  /** What slow start measures the age of hosts with; default the system's. */
  readonly clock?: Clock
  readonly loadBalancing: LoadBalancingConfig
  readonly common: CommonLbConfig
  /** Percent; normally 140. */
  readonly overprovisioningFactor: number
}

/**
 * A picker over priorities, localities and hosts, to be made anew when membership, weight, health or ejection changes. Before `loadHash64` has
 * resolved, consistent hashing picks at random.
 */
export function balance<H extends Host>(priorities: readonly PriorityHosts<H>[], options: BalancerOptions): Picker<H> {
  const { common, overprovisioningFactor, loadBalancing } = options
  const health = priorities.map(({ localities }) => {
    const hosts = localities.flatMap(locality => locality.hosts)
    return { total: countHosts(hosts), healthy: hosts.filter(isHealthy).length, degraded: hosts.filter(isDegraded).length }
  })
  const load = priorityLoad(health, overprovisioningFactor, common.healthyPanicThreshold)
  const healthy = priorities.map(({ localities }, priority) => {
    if ((load.healthy[priority] ?? 0) === 0) return emptyPicker
    if (load.panic[priority] !== true) return overLocalities(localities, isHealthy, options)
    return common.failTrafficOnPanic ? emptyPicker : overLocalities(localities, () => true, options)
  })
  const degraded = priorities.map(({ localities }, priority) => {
    if ((load.degraded[priority] ?? 0) === 0) return emptyPicker
    if (load.panic[priority] !== true) return overLocalities(localities, isDegraded, options)
    return common.failTrafficOnPanic ? emptyPicker : overLocalities(localities, () => true, options)
  })
  const pickers = [...healthy, ...degraded]
  const shares = [...load.healthy, ...load.degraded]
  const only = shares.indexOf(100)
  if (only >= 0) return pickers[only] ?? emptyPicker
  const byHash = loadBalancing.kind === 'ring-hash' || loadBalancing.kind === 'maglev'
  return shares.every(share => share === 0) ? emptyPicker : new PriorityPicker(pickers, shares, byHash)
}

function overLocalities<H extends Host>(
  localities: readonly LocalityHosts<H>[],
  isEligible: (host: H) => boolean,
  options: BalancerOptions,
): Picker<H> {
  const eligible = localities.map(({ weight, hosts }) => ({ weight, hosts: hosts.filter(isEligible), all: countHosts(hosts) }))
  const { loadBalancing, common, overprovisioningFactor, random, clock = systemClock } = options
  const leaf = { random, clock }
  switch (loadBalancing.kind) {
    case 'ring-hash':
      return hashing(eligible, common, hosts => new RingHashPicker(hosts, loadBalancing))
    case 'maglev':
      return hashing(eligible, common, hosts => new MaglevPicker(hosts, loadBalancing.tableSize))
  }
  if (!common.localityWeighted)
    return overHosts(
      eligible.flatMap(({ hosts }) => hosts),
      loadBalancing,
      leaf,
    )
  const choices = eligible.flatMap(({ weight = 0, hosts, all }): LocalityPick<H>[] => {
    if (weight === 0 || hosts.length === 0) return []
    const availability = Math.min(1, ((overprovisioningFactor / 100) * hosts.length) / all)
    return [{ weight: weight * availability, picker: overHosts(hosts, loadBalancing, leaf) }]
  })
  const [first, second] = choices
  return second === undefined ? (first?.picker ?? emptyPicker) : new LocalityPicker(choices, random())
}

function hashing<H extends Host>(
  localities: readonly LocalityHosts<H>[],
  { localityWeighted }: CommonLbConfig,
  build: (hosts: WeightedHosts<H>) => Picker<H>,
): Picker<H> {
  const weighted = weighHosts(localities, localityWeighted)
  if (isHash64Loaded()) return build(weighted)
  // Without WebAssembly it stays at random.
  loadHash64().catch(() => {})
  return new DeferredPicker(new RandomPicker(weighted.hosts), isHash64Loaded, () => build(weighted))
}

function overHosts<H extends Host>(
  hosts: readonly H[],
  config: Exclude<LoadBalancingConfig, { readonly kind: 'ring-hash' | 'maglev' }>,
  leaf: LeafOptions,
): Picker<H> {
  switch (config.kind) {
    case 'round-robin':
      return roundRobin(hosts, config, leaf)
    case 'least-request':
      return leastRequest(hosts, config, leaf)
    case 'random':
      return new RandomPicker(hosts)
    case 'custom':
      return new CustomPicker(hosts, config.type, config.config)
    case 'client-side-weighted-round-robin':
      return new ClientSideWeightedRoundRobinPicker(hosts, config, leaf)
    case 'pick-first':
      return new PickFirstPicker(hosts, config.shuffle, leaf.random)
  }
}
