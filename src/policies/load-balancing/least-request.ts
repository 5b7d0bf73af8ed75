import type { Random } from '../../runtime.ts'
import { EdfScheduler } from './edf-scheduler.ts'
import { haveEqualWeights, type Weighted } from './equal-weights.ts'
import type { PickContext, Picker } from './picker.ts'

/** A host whose load is known. It is read at pick time. */
export interface LoadedHost extends Weighted {
  /** Attempts in flight. */
  readonly activeRequests: number
}

/** Of `choiceCount` hosts chosen at random, the one with the fewest requests in flight (gRFC A48; power of two choices by default). */
export class LeastRequestPicker<H extends LoadedHost> implements Picker<H> {
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
    // Distinct by construction: with two choices of two hosts the idle one always wins.
    const first = Math.floor(random() * size)
    let best = hosts[first] ?? null
    for (let choice = 1; choice < this.#choiceCount; choice++) {
      const other = hosts[(first + 1 + Math.floor(random() * (size - 1))) % size]
      if (other !== undefined && best !== null && other.activeRequests < best.activeRequests) best = other
    }
    return best
  }
}

/** In turn, as often as `weight / (requests in flight + 1) ^ bias` says. */
export class WeightedLeastRequestPicker<H extends LoadedHost> implements Picker<H> {
  readonly #schedule: EdfScheduler<H>

  constructor(hosts: readonly H[], activeRequestBias: number, random: Random) {
    const weightOf = ({ weight, activeRequests }: H) =>
      activeRequestBias === 0 ? weight : weight / (activeRequests + 1) ** activeRequestBias
    this.#schedule = new EdfScheduler(hosts, weightOf)
    for (let skip = Math.floor(random() * hosts.length); skip > 0; skip--) this.#schedule.next()
  }

  pick(): H | null {
    return this.#schedule.next() ?? null
  }
}

/** Least request over `hosts`, by weight where the weights differ (`envoy.load_balancing_policies.least_request`). */
export function leastRequest<H extends LoadedHost>(
  hosts: readonly H[],
  { choiceCount, activeRequestBias }: { readonly choiceCount: number; readonly activeRequestBias: number },
  random: Random,
): Picker<H> {
  return haveEqualWeights(hosts)
    ? new LeastRequestPicker(hosts, choiceCount)
    : new WeightedLeastRequestPicker(hosts, activeRequestBias, random)
}
