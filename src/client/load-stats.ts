import type { ClusterConfig } from '../discovery/model/cluster.ts'
import type { ClusterLoad, DividedLoads, LoadSource } from '../discovery/model/cluster-load.ts'
import type { Clock } from '../runtime.ts'
import { ClusterCounters } from './cluster-counters.ts'

type Owns = (cluster: string) => boolean

const all: Owns = () => true
/** Clusters that have left and wait for a report; of more, the first to leave are forgotten. */
const maxLeft = 1000

/**
 * What is counted for reports to the control plane, by cluster and EDS service name (gRFC A27). Counters outlive updates of their cluster; those
 * of one that has left go once it is reported and what it sent has ended.
 */
export class LoadStats implements LoadSource, DividedLoads {
  readonly #clock: Clock
  readonly #counters = new Map<string, ClusterCounters>()
  readonly #listeners: { readonly owns: Owns; readonly listener: () => void }[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The counters of a cluster, until it releases them; `null`: it is not reported. */
  open({ name, discovery, loadReporting }: ClusterConfig): ClusterCounters | null {
    // An aggregate has no endpoints of its own.
    if (loadReporting === undefined || discovery.kind === 'aggregate') return null
    const edsServiceName = discovery.kind === 'eds' ? discovery.edsServiceName : ''
    const key = JSON.stringify([name, edsServiceName])
    const unaware = this.#listeners.filter(({ owns }) => owns(name) && !this.#isWanted(owns))
    let counters = this.#counters.get(key)
    if (counters === undefined) {
      this.#bound()
      counters = new ClusterCounters(name, edsServiceName, this.#clock)
      this.#counters.set(key, counters)
    }
    counters.acquire()
    for (const { listener } of unaware) listener()
    return counters
  }

  get isWanted(): boolean {
    return this.#isWanted(all)
  }

  onWanted(listener: () => void): void {
    this.#onWanted(all, listener)
  }

  take(clusters: ReadonlySet<string> | null): readonly ClusterLoad[] {
    return this.#take(all, clusters)
  }

  forgetLeft(): void {
    this.#forgetLeft(all)
  }

  part(owns: Owns): LoadSource {
    const isWanted = () => this.#isWanted(owns)
    return {
      get isWanted() {
        return isWanted()
      },
      onWanted: listener => this.#onWanted(owns, listener),
      take: clusters => this.#take(owns, clusters),
      forgetLeft: () => this.#forgetLeft(owns),
    }
  }

  #isWanted(owns: Owns): boolean {
    for (const { cluster } of this.#counters.values()) if (owns(cluster)) return true
    return false
  }

  #onWanted(owns: Owns, listener: () => void): void {
    this.#listeners.push({ owns, listener })
    if (this.#isWanted(owns)) listener()
  }

  #take(owns: Owns, clusters: ReadonlySet<string> | null): readonly ClusterLoad[] {
    const loads: ClusterLoad[] = []
    for (const [key, counters] of this.#counters) {
      if (!owns(counters.cluster)) continue
      const isAsked = clusters === null || clusters.has(counters.cluster)
      const load = isAsked ? counters.take() : null
      if (load !== null) loads.push(load)
      if (counters.hasLeft && !(isAsked && counters.isBusy)) this.#counters.delete(key)
    }
    return loads
  }

  #forgetLeft(owns: Owns): void {
    for (const [key, { hasLeft, cluster }] of this.#counters) if (hasLeft && owns(cluster)) this.#counters.delete(key)
  }

  /** While no server takes reports, clusters may come and go for days. */
  #bound(): void {
    let left = 0
    let first: string | undefined
    for (const [key, { hasLeft }] of this.#counters) {
      if (!hasLeft) continue
      left++
      first ??= key
    }
    if (left >= maxLeft && first !== undefined) this.#counters.delete(first)
  }
}
