import type { Clock, Random } from '../../runtime.ts'
import type { ClientSideWeightedRoundRobin } from './config.ts'
import { EdfScheduler } from './edf-scheduler.ts'
import type { Host } from './host.ts'
import type { LeafOptions, Picker } from './picker.ts'

/**
 * Round robin by the load that endpoints report (gRFC A58, `envoy.load_balancing_policies.client_side_weighted_round_robin`). An endpoint
 * without a usable report counts as the mean of the others; with fewer than two reports it is plain round robin.
 */
export class ClientSideWeightedRoundRobinPicker<H extends Host> implements Picker<H> {
  readonly #hosts: readonly H[]
  readonly #config: ClientSideWeightedRoundRobin
  readonly #clock: Clock
  readonly #random: Random
  #schedule: EdfScheduler<H> | null = null
  #at: number
  #weighedAt = Number.NEGATIVE_INFINITY

  constructor(hosts: readonly H[], config: ClientSideWeightedRoundRobin, { clock, random }: LeafOptions) {
    this.#hosts = hosts
    this.#config = config
    this.#clock = clock
    this.#random = random
    this.#at = Math.floor(random() * hosts.length)
  }

  pick(): H | null {
    const now = this.#clock.now()
    if (now - this.#weighedAt >= this.#config.weightUpdatePeriodMs) this.#weigh(now)
    if (this.#schedule !== null) return this.#schedule.next()
    const hosts = this.#hosts
    if (this.#at >= hosts.length) this.#at = 0
    return hosts[this.#at++] ?? null
  }

  /** On the way of a pick, not by a timer: an idle cluster costs nothing. */
  #weigh(now: number): void {
    this.#weighedAt = now
    const weights = new Map<H, number>()
    let sum = 0
    for (const host of this.#hosts) {
      const weight = host.reportedWeight === null ? 0 : host.reportedWeight.current(this.#config, now)
      if (weight === 0) continue
      weights.set(host, weight)
      sum += weight
    }
    const mean = sum / weights.size
    this.#schedule = weights.size < 2 ? null : new EdfScheduler(this.#hosts, host => weights.get(host) ?? mean, this.#random())
  }
}
