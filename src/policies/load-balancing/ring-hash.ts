import { hash64, randomHash } from './hash64.ts'
import type { Host } from './host.ts'
import type { PickContext, Picker } from './picker.ts'
import { hashKey, type WeightedHosts } from './weighted-hosts.ts'

/** Size limits of a ring. */
export interface RingSize {
  /** Entries at least; default 1024. */
  readonly minimumRingSize: number
  /** Entries at most; default 8,388,608. */
  readonly maximumRingSize: number
}

/**
 * Consistent hashing on a ring (`envoy.load_balancing_policies.ring_hash`, gRFC A42), entry by entry the ring that Envoy builds: XXH64 of
 * `address_0`, `address_1` … in proportion to weight. The first entry at or after the request's hash takes it.
 */
export class RingHashPicker<H extends Host> implements Picker<H> {
  readonly #hosts: readonly H[]
  /** Host of each entry, ordered by hash. */
  readonly #owners: Uint32Array
  /** Upper and lower half of each entry's hash: compared without a BigInt. */
  readonly #high: Uint32Array
  readonly #low: Uint32Array

  constructor({ hosts, shares }: WeightedHosts<H>, size: RingSize) {
    const smallest = shares.reduce((least, share) => Math.min(least, share), 1)
    const scale = Math.min(Math.ceil(smallest * size.minimumRingSize) / smallest, size.maximumRingSize)
    const highs: number[] = []
    const lows: number[] = []
    const owners: number[] = []
    let target = 0
    for (const [index, host] of hosts.entries()) {
      // A running target: a host whose share is a fraction of an entry leaves the rest to the next.
      target += scale * (shares[index] ?? 0)
      const key = `${hashKey(host)}_`
      for (let entry = 0; owners.length < target; entry++) {
        const hash = hash64(key + entry)
        highs.push(Number(hash >> 32n))
        lows.push(Number(hash & 0xffffffffn))
        owners.push(index)
      }
    }
    const order = Uint32Array.from(owners, (_, entry) => entry)
    order.sort(
      (left, right) => (highs[left] ?? 0) - (highs[right] ?? 0) || (lows[left] ?? 0) - (lows[right] ?? 0) || left - right,
    )
    this.#hosts = hosts
    this.#owners = order.map(entry => owners[entry] ?? 0)
    this.#high = order.map(entry => highs[entry] ?? 0)
    this.#low = order.map(entry => lows[entry] ?? 0)
  }

  /** Entries on the ring. */
  get size(): number {
    return this.#owners.length
  }

  pick({ hash, random }: PickContext, attempt: number): H | null {
    const size = this.#owners.length
    if (size === 0) return null
    const point = hash ?? randomHash(random(), random())
    const at = this.#firstAtOrAfter(Number(point >> 32n), Number(point & 0xffffffffn))
    return this.#hosts[this.#owners[(at + attempt) % size] ?? 0] ?? null
  }

  #firstAtOrAfter(high: number, low: number): number {
    const highs = this.#high
    const lows = this.#low
    let from = 0
    let to = highs.length
    while (from < to) {
      const middle = (from + to) >>> 1
      const entry = highs[middle] ?? 0
      if (entry < high || (entry === high && (lows[middle] ?? 0) < low)) from = middle + 1
      else to = middle
    }
    return from
  }
}
