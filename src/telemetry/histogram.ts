/** What a {@link Histogram} has counted so far. */
export interface HistogramValue {
  readonly boundaries: readonly number[]
  /** One more than there are boundaries. */
  readonly counts: readonly number[]
  readonly count: number
  readonly sum: number
  readonly min: number
  readonly max: number
}

/** A cumulative histogram over fixed boundaries; recording allocates nothing. */
export class Histogram {
  readonly #boundaries: readonly number[]
  readonly #counts: Float64Array
  #count: number
  #sum: number
  #min: number
  #max: number

  /** @param boundaries ascending; a value equal to one belongs to the bucket below it (OTLP `explicit_bounds`) */
  constructor(boundaries: readonly number[]) {
    this.#boundaries = boundaries
    this.#counts = new Float64Array(boundaries.length + 1)
    this.#count = 0
    this.#sum = 0
    this.#min = Number.POSITIVE_INFINITY
    this.#max = Number.NEGATIVE_INFINITY
  }

  get count(): number {
    return this.#count
  }

  /** Counts a value; one that is not a number is left out. */
  record(value: number): void {
    if (Number.isNaN(value)) return
    const boundaries = this.#boundaries
    let bucket = 0
    // Most calls are fast: a walk from the first bucket beats a binary search.
    for (const length = boundaries.length; bucket < length; bucket++) {
      const boundary = boundaries[bucket]
      if (boundary !== undefined && value <= boundary) break
    }
    const before = this.#counts[bucket]
    if (before !== undefined) this.#counts[bucket] = before + 1
    this.#count++
    this.#sum += value
    if (value < this.#min) this.#min = value
    if (value > this.#max) this.#max = value
  }

  /** A copy of the present state. */
  value(): HistogramValue {
    const isEmpty = this.#count === 0
    return {
      boundaries: this.#boundaries,
      counts: Array.from(this.#counts),
      count: this.#count,
      sum: this.#sum,
      min: isEmpty ? 0 : this.#min,
      max: isEmpty ? 0 : this.#max,
    }
  }
}
