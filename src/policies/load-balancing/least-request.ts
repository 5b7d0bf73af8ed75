import type { SlowStartConfig } from './config.ts'
import { EdfScheduler } from './edf-scheduler.ts'
import { haveEqualWeights } from './equal-weights.ts'
import type { Host } from './host.ts'
import type { LeafOptions, PickContext, Picker } from './picker.ts'
import { slowStartWeights } from './slow-start.ts'

/**
 * Of `choiceCount` hosts chosen at random the one with the fewest requests in flight; of equals, the first chosen (gRFC A48; power of two
 * choices by default).
 */
class LeastRequestPicker<H extends Host> implements Picker<H> {
  readonly #hosts: readonly H[]
  readonly #choiceCount: number

  constructor(hosts: readonly H[], choiceCount: number) {
    this.#hosts = hosts
    this.#choiceCount = choiceCount
  }

  pick({ random }: PickContext): H | null {
    const hosts = this.#hosts
    const size = hosts.length
    if (size < 2) return hosts[0] ?? null
    const first = Math.floor(random() * size)
    let best = hosts[first] ?? null
    for (let choice = 1; choice < this.#choiceCount; choice++) {
      // Never the first one again: of two hosts the idle one always wins.
      const other = hosts[(first + 1 + Math.floor(random() * (size - 1))) % size]
      if (other !== undefined && best !== null && other.activeRequests < best.activeRequests) best = other
    }
    return best
  }
}

/** In turn, as often as `weight / (requests in flight + 1) ^ bias` says. */
class WeightedLeastRequestPicker<H extends Host> implements Picker<H> {
  readonly #schedule: EdfScheduler<H>

  constructor(hosts: readonly H[], weightOf: (host: H) => number, bias: number, random: number) {
    const biased = (host: H) => weightOf(host) / (host.activeRequests + 1) ** bias
    this.#schedule = new EdfScheduler(hosts, bias === 0 ? weightOf : biased, random)
  }

  pick(): H | null {
    return this.#schedule.next()
  }
}

/**
 * Least request (`envoy.load_balancing_policies.least_request`): of random choices where all weights are equal and no host is in slow start,
 * by weight otherwise.
 */
export function leastRequest<H extends Host>(
  hosts: readonly H[],
  config: {
    readonly choiceCount: number
    readonly activeRequestBias: number
    readonly slowStart: SlowStartConfig | undefined
  },
  { random, clock }: LeafOptions,
): Picker<H> {
  const slow = slowStartWeights(hosts, config.slowStart, clock)
  if (slow === null && haveEqualWeights(hosts)) return new LeastRequestPicker(hosts, config.choiceCount)
  return new WeightedLeastRequestPicker(hosts, slow ?? weightOf, config.activeRequestBias, random())
}

const weightOf = ({ weight }: Host) => weight
