import type { Random } from '../../runtime.ts'
import type { CommonLbConfig, LoadBalancingConfig } from './config.ts'
import { EdfScheduler } from './edf-scheduler.ts'
import { type Host, isHealthy, type LocalityHosts, type PriorityHosts } from './host.ts'
import { leastRequest } from './least-request.ts'
import { emptyPicker, type PickContext, type Picker } from './picker.ts'
import { type PriorityLoad, priorityLoad } from './priority-load.ts'
import { RandomPicker } from './random.ts'
import { roundRobin } from './round-robin.ts'

/** How a set of hosts is balanced. */
export interface BalancerOptions {
  readonly loadBalancing: LoadBalancingConfig
  readonly common: CommonLbConfig
  /** Percent. */
  readonly overprovisioningFactor: number
  readonly random: Random
}

/** A picker over priorities and localities, made anew when membership or health changes. */
export function balance<H extends Host>(priorities: readonly PriorityHosts<H>[], options: BalancerOptions): Picker<H> {
  const health = priorities.map(({ localities }) => {
    const hosts = localities.flatMap(locality => locality.hosts)
    return { total: hosts.length, healthy: hosts.filter(isHealthy).length }
  })
  const { healthyPanicThreshold, failTrafficOnPanic } = options.common
  const spread = priorityLoad(health, options.overprovisioningFactor, healthyPanicThreshold)
  const pickers = priorities.map(({ localities }, priority) => {
    if (spread.panic[priority] !== true) return overLocalities(localities, options)
    return failTrafficOnPanic ? emptyPicker : overHosts(allHosts(localities), options)
  })
  const only = spread.load.indexOf(100)
  if (only >= 0) return pickers[only] ?? emptyPicker
  return spread.load.every(share => share === 0) ? emptyPicker : new PriorityPicker(pickers, spread)
}

const allHosts = <H>(localities: readonly LocalityHosts<H>[]): readonly H[] => localities.flatMap(({ hosts }) => hosts)

/** Localities count only by configuration; one without weight then gets nothing (`LocalityLbEndpoints.load_balancing_weight`). */
function overLocalities<H extends Host>(localities: readonly LocalityHosts<H>[], options: BalancerOptions): Picker<H> {
  if (!options.common.localityWeighted) return overHosts(allHosts(localities).filter(isHealthy), options)
  const weighted = localities.flatMap(({ weight, hosts }) => {
    const usable = hosts.filter(isHealthy)
    if (!weight || usable.length === 0) return []
    const availability = Math.min(1, (options.overprovisioningFactor / 100) * (usable.length / hosts.length))
    return [{ weight: weight * availability, picker: overHosts(usable, options) }]
  })
  const [first] = weighted
  return weighted.length < 2 ? (first?.picker ?? emptyPicker) : new LocalityPicker(weighted)
}

function overHosts<H extends Host>(hosts: readonly H[], { loadBalancing, random }: BalancerOptions): Picker<H> {
  switch (loadBalancing.kind) {
    case 'round-robin':
      return roundRobin(hosts, random)
    case 'least-request':
      return leastRequest(hosts, loadBalancing, random)
    case 'pick-first':
      return { pick: () => hosts[0] ?? null }
    case 'random':
    // Without a hash a consistent-hash balancer picks at random (Envoy: "no hash: random").
    case 'ring-hash':
    case 'maglev':
      return new RandomPicker(hosts)
  }
}

/** Chooses the priority by its share, then a host of it. */
class PriorityPicker<H> implements Picker<H> {
  readonly #pickers: readonly Picker<H>[]
  readonly #spread: PriorityLoad

  constructor(pickers: readonly Picker<H>[], spread: PriorityLoad) {
    this.#pickers = pickers
    this.#spread = spread
  }

  pick(context: PickContext, attempt: number): H | null {
    let left = Math.floor(context.random() * 100)
    const { load } = this.#spread
    for (let priority = 0; priority < load.length; priority++) {
      left -= load[priority] ?? 0
      if (left < 0) return this.#pickers[priority]?.pick(context, attempt) ?? null
    }
    return null
  }
}

/** Takes localities in turn by weight, then a host of it. */
class LocalityPicker<H> implements Picker<H> {
  readonly #schedule: EdfScheduler<{ readonly weight: number; readonly picker: Picker<H> }>

  constructor(localities: readonly { readonly weight: number; readonly picker: Picker<H> }[]) {
    this.#schedule = new EdfScheduler(localities, ({ weight }) => weight)
  }

  pick(context: PickContext, attempt: number): H | null {
    return this.#schedule.next()?.picker.pick(context, attempt) ?? null
  }
}
