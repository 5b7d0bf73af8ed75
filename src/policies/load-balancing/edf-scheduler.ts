/**
 * Earliest-deadline-first scheduling, as Envoy balances by weight: an entry of weight `w` comes up every `1 / w` of virtual time. Exact over
 * any stretch of picks, and O(log n) a pick. A weight may change between picks; it counts from the entry's next turn.
 */
export class EdfScheduler<T> {
  readonly #entries: T[]
  readonly #deadlines: Float64Array
  readonly #weightOf: (entry: T) => number
  #now = 0

  /** @param weightOf above 0; asked once for each turn */
  constructor(entries: readonly T[], weightOf: (entry: T) => number) {
    this.#entries = [...entries]
    this.#weightOf = weightOf
    this.#deadlines = Float64Array.from(this.#entries, entry => 1 / weightOf(entry))
    for (let at = (this.#entries.length >> 1) - 1; at >= 0; at--) this.#sink(at)
  }

  get size(): number {
    return this.#entries.length
  }

  /** The entry whose turn it is; `undefined` when there is none. */
  next(): T | undefined {
    const entry = this.#entries[0]
    if (entry === undefined) return undefined
    this.#now = this.#deadline(0)
    this.#deadlines[0] = this.#now + 1 / this.#weightOf(entry)
    this.#sink(0)
    return entry
  }

  #deadline(at: number): number {
    return this.#deadlines[at] ?? Number.POSITIVE_INFINITY
  }

  #sink(start: number): void {
    const entries = this.#entries
    for (let at = start; ; ) {
      const left = 2 * at + 1
      if (left >= entries.length) return
      const right = left + 1
      const child = this.#deadline(right) < this.#deadline(left) ? right : left
      if (this.#deadline(child) >= this.#deadline(at)) return
      this.#swap(at, child)
      at = child
    }
  }

  #swap(one: number, other: number): void {
    const entry = this.#entries[one]
    const deadline = this.#deadline(one)
    const moved = this.#entries[other]
    if (entry === undefined || moved === undefined) return
    this.#entries[one] = moved
    this.#entries[other] = entry
    this.#deadlines[one] = this.#deadline(other)
    this.#deadlines[other] = deadline
  }
}
