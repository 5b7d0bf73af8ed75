import { hash64, randomHash } from './hash64.ts'
import type { Host } from './host.ts'
import type { PickContext, Picker } from './picker.ts'
import { hashKey, type WeightedHosts } from './weighted-hosts.ts'

/**
 * Consistent hashing on a table (`envoy.load_balancing_policies.maglev`), slot by slot the table that Envoy fills: hosts ordered by key, each
 * taking slots of its own permutation in turn, as often as its weight says.
 */
export class MaglevPicker<H extends Host> implements Picker<H> {
  readonly #hosts: readonly H[]
  /** Host of each slot. */
  readonly #table: Uint32Array
  readonly #size: bigint

  /** @param tableSize a prime; default 65,537 */
  constructor({ hosts, shares }: WeightedHosts<H>, tableSize: number) {
    this.#hosts = hosts
    this.#size = BigInt(tableSize)
    this.#table = hosts.length === 0 ? new Uint32Array(0) : fill(hosts, shares, tableSize)
  }

  pick({ hash, random }: PickContext, attempt: number): H | null {
    if (this.#table.length === 0) return null
    let point = hash ?? randomHash(random(), random())
    // Another attempt changes nearly all bits, so that it ends up far from the first.
    if (attempt > 0) point ^= (1n << 64n) - BigInt(attempt)
    return this.#hosts[this.#table[Number(point % this.#size)] ?? 0] ?? null
  }
}

interface Claim {
  readonly host: number
  readonly share: number
  readonly skip: number
  /** The slot it will try next. */
  slot: number
  target: number
}

function fill(hosts: readonly Host[], shares: readonly number[], size: number): Uint32Array {
  const claims = hosts
    .map((host, index) => ({ key: hashKey(host), index }))
    .sort((left, right) => (left.key < right.key ? -1 : left.key > right.key ? 1 : 0))
    .map(
      ({ key, index }): Claim => ({
        host: index,
        share: shares[index] ?? 0,
        slot: Number(hash64(key) % BigInt(size)),
        skip: Number(hash64(key, 1n) % BigInt(size - 1)) + 1,
        target: 0,
      }),
    )
  const largest = shares.reduce((most, share) => Math.max(most, share), 0)
  const table = new Uint32Array(size)
  const isTaken = new Uint8Array(size)
  let filled = 0
  for (let round = 1; filled < size; round++) {
    for (const claim of claims) {
      if (filled === size) break
      // The largest share has a turn in every round, one of a third of it in every third.
      if (round * claim.share < claim.target) continue
      claim.target += largest
      while (isTaken[claim.slot] === 1) claim.slot = (claim.slot + claim.skip) % size
      table[claim.slot] = claim.host
      isTaken[claim.slot] = 1
      filled++
    }
  }
  return table
}
