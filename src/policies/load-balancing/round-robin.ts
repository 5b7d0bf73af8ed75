import type { Random } from '../../runtime.ts'
import { EdfScheduler } from './edf-scheduler.ts'
import { haveEqualWeights, type Weighted } from './equal-weights.ts'
import type { Picker } from './picker.ts'

/** In turn, beginning at random, so that many clients do not begin with the same host. */
export class RoundRobinPicker<H extends Weighted> implements Picker<H> {
  readonly #hosts: readonly H[]
  #at: number

  constructor(hosts: readonly H[], random: Random) {
    this.#hosts = hosts
    this.#at = Math.floor(random() * hosts.length)
  }

  pick(): H | null {
    const hosts = this.#hosts
    if (this.#at >= hosts.length) this.#at = 0
    return hosts[this.#at++] ?? null
  }
}

/** In turn, as often as the weight says. */
export class WeightedRoundRobinPicker<H extends Weighted> implements Picker<H> {
  readonly #schedule: EdfScheduler<H>

  constructor(hosts: readonly H[], random: Random) {
    this.#schedule = new EdfScheduler(hosts, ({ weight }) => weight)
    for (let skip = Math.floor(random() * hosts.length); skip > 0; skip--) this.#schedule.next()
  }

  pick(): H | null {
    return this.#schedule.next() ?? null
  }
}

/** Round robin over `hosts`, by weight where the weights differ (`envoy.load_balancing_policies.round_robin`). */
export function roundRobin<H extends Weighted>(hosts: readonly H[], random: Random): Picker<H> {
  return haveEqualWeights(hosts) ? new RoundRobinPicker(hosts, random) : new WeightedRoundRobinPicker(hosts, random)
}
