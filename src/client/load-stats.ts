import type { ClusterConfig } from '../discovery/model/cluster.ts'
import type { ClusterLoad, LoadSource } from '../discovery/model/cluster-load.ts'
import type { Clock } from '../runtime.ts'
import { ClusterCounters } from './cluster-counters.ts'

/** Clusters that have left and wait for a report; of more, the first to leave are forgotten. */
const maxLeft = 1000

/**
 * What is counted for reports to the control plane, by cluster and EDS service name (gRFC A27). Counters outlive updates of their cluster; those
 * of one that has left go once it is reported and what it sent has ended.
 */
export class LoadStats implements LoadSource {
  readonly #clock: Clock
  readonly #counters = new Map<string, ClusterCounters>()
  #onWanted: () => void = () => {}

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The counters of a cluster, until it releases them; `null`: it is not reported. */
  open({ name, discovery, loadReporting }: ClusterConfig): ClusterCounters | null {
    // An aggregate has no endpoints of its own.
    if (loadReporting === undefined || discovery.kind === 'aggregate') return null
    const edsServiceName = discovery.kind === 'eds' ? discovery.edsServiceName : ''
    const key = JSON.stringify([name, edsServiceName])
    const wasWanted = this.isWanted
    let counters = this.#counters.get(key)
    if (counters === undefined) {
      this.#bound()
      counters = new ClusterCounters(name, edsServiceName, this.#clock)
      this.#counters.set(key, counters)
    }
    counters.acquire()
    if (!wasWanted) this.#onWanted()
    return counters
  }

  get isWanted(): boolean {
    return this.#counters.size > 0
  }

  onWanted(listener: () => void): void {
    this.#onWanted = listener
    if (this.isWanted) listener()
  }

  take(clusters: ReadonlySet<string> | null): readonly ClusterLoad[] {
    const loads: ClusterLoad[] = []
    for (const [key, counters] of this.#counters) {
      const isAsked = clusters === null || clusters.has(counters.cluster)
      const load = isAsked ? counters.take() : null
      if (load !== null) loads.push(load)
      if (counters.hasLeft && !(isAsked && counters.isBusy)) this.#counters.delete(key)
    }
    return loads
  }

  forgetLeft(): void {
    for (const [key, counters] of this.#counters) if (counters.hasLeft) this.#counters.delete(key)
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
