import type { ClusterLoad, LocalityLoad } from '../discovery/model/cluster-load.ts'
import type { Locality } from '../discovery/model/endpoint.ts'
import type { Clock } from '../runtime.ts'
import { LocalityCounters } from './locality-counters.ts'

/** An endpoint whose attempts are counted. */
export interface CountedEndpoint {
  readonly locality: Locality
  load: LocalityCounters | null
}

/** Counts the load of one cluster: its localities, and what it drops. It outlives updates of the cluster. */
export class ClusterCounters {
  readonly cluster: string
  readonly edsServiceName: string
  readonly #clock: Clock
  readonly #localities = new Map<string, LocalityCounters>()
  #takenAt: number
  #dropped = 0
  #droppedByCategory = new Map<string, number>()
  #users = 0

  constructor(cluster: string, edsServiceName: string, clock: Clock) {
    this.cluster = cluster
    this.edsServiceName = edsServiceName
    this.#clock = clock
    this.#takenAt = clock.now()
  }

  /** A cluster of this name is in the configuration. */
  acquire(): void {
    this.#users++
  }

  /** It is no more. */
  release(): void {
    this.#users--
  }

  /** No cluster counts here any more, though what it sent may be in flight. */
  get hasLeft(): boolean {
    return this.#users === 0
  }

  /** Whether attempts are in flight. */
  get isBusy(): boolean {
    for (const locality of this.#localities.values()) if (locality.isBusy) return true
    return false
  }

  /** Gives each endpoint the counters of its locality. */
  assign(endpoints: Iterable<CountedEndpoint>): void {
    for (const counters of this.#localities.values()) counters.isMember = false
    let locality: Locality | null = null
    let counters: LocalityCounters | null = null
    for (const endpoint of endpoints) {
      // Those of one locality come one after the other.
      if (endpoint.locality !== locality) {
        locality = endpoint.locality
        counters = this.#of(locality)
      }
      endpoint.load = counters
    }
  }

  /**
   * A request was not let through.
   *
   * @param category of `drop_overloads`; `null`: a circuit breaker
   */
  drop(category: string | null): void {
    this.#dropped++
    if (category !== null) this.#droppedByCategory.set(category, (this.#droppedByCategory.get(category) ?? 0) + 1)
  }

  /** What was counted since the last time; `null`: nothing. Localities that have left are let go of once they are reported. */
  take(): ClusterLoad | null {
    const now = this.#clock.now()
    const intervalMs = now - this.#takenAt
    this.#takenAt = now
    const localities: LocalityLoad[] = []
    for (const [key, counters] of this.#localities) {
      const load = counters.take()
      if (load !== null) localities.push(load)
      if (!counters.isMember && !counters.isBusy) this.#localities.delete(key)
    }
    const dropped = this.#dropped
    if (localities.length === 0 && dropped === 0) return null
    const droppedByCategory = this.#droppedByCategory
    this.#dropped = 0
    if (droppedByCategory.size > 0) this.#droppedByCategory = new Map()
    return { cluster: this.cluster, edsServiceName: this.edsServiceName, intervalMs, dropped, droppedByCategory, localities }
  }

  #of(locality: Locality): LocalityCounters {
    const key = JSON.stringify([locality.region, locality.zone, locality.subZone])
    let counters = this.#localities.get(key)
    if (counters === undefined) {
      counters = new LocalityCounters(locality)
      this.#localities.set(key, counters)
    }
    counters.isMember = true
    return counters
  }
}
