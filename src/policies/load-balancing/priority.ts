import type { PickContext, Picker } from './picker.ts'

/** Chooses a priority by its share of the load, then a host of it. With consistent hashing the request's hash chooses, so that it stays. */
export class PriorityPicker<H> implements Picker<H> {
  readonly #pickers: readonly Picker<H>[]
  /** Percent, in the order of the pickers; sums to 100. */
  readonly #shares: readonly number[]
  readonly #byHash: boolean

  constructor(pickers: readonly Picker<H>[], shares: readonly number[], byHash: boolean) {
    this.#pickers = pickers
    this.#shares = shares
    this.#byHash = byHash
  }

  pick(context: PickContext, attempt: number): H | null {
    const { hash, random } = context
    let left = this.#byHash && hash !== null ? Number(hash % 100n) : Math.floor(random() * 100)
    const shares = this.#shares
    for (let at = 0; at < shares.length; at++) {
      left -= shares[at] ?? 0
      if (left < 0) return this.#pickers[at]?.pick(context, attempt) ?? null
    }
    return null
  }
}
