import type { SlowStartConfig } from './config.ts'
import { EdfScheduler } from './edf-scheduler.ts'
import { haveEqualWeights } from './equal-weights.ts'
import type { Host } from './host.ts'
import type { LeafOptions, Picker } from './picker.ts'
import { slowStartWeights } from './slow-start.ts'

/** In turn, beginning at random, so that many clients do not begin with the same host. */
class RoundRobinPicker<H> implements Picker<H> {
  readonly #hosts: readonly H[]
  #at: number

  constructor(hosts: readonly H[], random: number) {
    this.#hosts = hosts
    this.#at = Math.floor(random * hosts.length)
  }

  pick(): H | null {
    const hosts = this.#hosts
    if (this.#at >= hosts.length) this.#at = 0
    return hosts[this.#at++] ?? null
  }
}

/** In turn, as often as the weight says. */
class WeightedRoundRobinPicker<H> implements Picker<H> {
  readonly #schedule: EdfScheduler<H>

  constructor(hosts: readonly H[], weightOf: (host: H) => number, random: number) {
    this.#schedule = new EdfScheduler(hosts, weightOf, random)
  }

  pick(): H | null {
    return this.#schedule.next()
  }
}

/** Round robin (`envoy.load_balancing_policies.round_robin`): plain where all weights are equal and no host is in slow start. */
export function roundRobin<H extends Host>(
  hosts: readonly H[],
  config: { readonly slowStart: SlowStartConfig | undefined },
  { random, clock }: LeafOptions,
): Picker<H> {
  const slow = slowStartWeights(hosts, config.slowStart, clock)
  if (slow === null && haveEqualWeights(hosts)) return new RoundRobinPicker(hosts, random())
  return new WeightedRoundRobinPicker(hosts, slow ?? weightOf, random())
}

const weightOf = ({ weight }: Host) => weight
