/**
 * Earliest-deadline-first scheduling, as Envoy balances by weight: an entry of weight `w` comes up once in every `1 / w` of virtual time. Exact
 * over any stretch of picks, O(log n) a pick, and free of allocation. A weight may change between picks; it counts from the entry's next turn.
 */
export class EdfScheduler<T> {
  readonly #entries: readonly T[]
  readonly #weightOf: (entry: T) => number
  /** A heap of indexes into the entries, the earliest deadline first; equal deadlines in the order of the entries. */
  readonly #heap: Uint32Array
  readonly #deadlines: Float64Array

  /**
   * @param weightOf above 0; asked once for each turn
   * @param random uniform in `[0, 1)`: how far into the first round to begin, so that many clients do not begin with the same entry
   */
  constructor(entries: readonly T[], weightOf: (entry: T) => number, random: number) {
    this.#entries = entries
    this.#weightOf = weightOf
    this.#heap = Uint32Array.from(entries, (_, index) => index)
    this.#deadlines = Float64Array.from(entries, entry => 1 / weightOf(entry))
    for (let at = (entries.length >> 1) - 1; at >= 0; at--) this.#sink(at)
    for (let skip = Math.floor(random * entries.length); skip > 0; skip--) this.next()
  }

  /** The entry whose turn it is, or `null` when there are none. */
  next(): T | null {
    const index = this.#heap[0]
    if (index === undefined) return null
    const entry = this.#entries[index]
    if (entry === undefined) return null
    this.#deadlines[index] = this.#deadline(index) + 1 / this.#weightOf(entry)
    this.#sink(0)
    return entry
  }

  #deadline(index: number): number {
    return this.#deadlines[index] ?? Number.POSITIVE_INFINITY
  }

  #isBefore(index: number, other: number): boolean {
    const difference = this.#deadline(index) - this.#deadline(other)
    return difference < 0 || (difference === 0 && index < other)
  }

  #sink(start: number): void {
    const heap = this.#heap
    const sinking = heap[start] ?? 0
    let at = start
    for (let child = 2 * at + 1; child < heap.length; child = 2 * at + 1) {
      const right = heap[child + 1]
      if (right !== undefined && this.#isBefore(right, heap[child] ?? 0)) child++
      const candidate = heap[child] ?? 0
      if (!this.#isBefore(candidate, sinking)) break
      heap[at] = candidate
      at = child
    }
    heap[at] = sinking
  }
}
