/**
 * Collects what is wrong with one resource, each with its path: `Cluster "reviews": outlier_detection.interval: must be > 0,
 * got 0s`. A decoder goes on after a problem with some value in place, so that one pass names them all.
 */
export class Problems {
  /** Shared by every {@link Problems} of the resource. */
  readonly found: string[]
  readonly #parent: Problems | null
  readonly #segment: string
  readonly #index: number

  private constructor(found: string[], parent: Problems | null, segment: string, index: number) {
    this.found = found
    this.#parent = parent
    this.#segment = segment
    this.#index = index
  }

  /** @param resource such as `Cluster "reviews"` */
  static of(resource: string): Problems {
    return new Problems([], null, resource, -1)
  }

  /** The place of a field, in the words of the `.proto` file; with `index` one element of it. */
  at(field: string, index = -1): Problems {
    return new Problems(this.found, this, field, index)
  }

  /** Reports that the value here is wrong. */
  add(message: string): void {
    this.found.push(`${this.#path()}: ${message}`)
  }

  /** Reports that a field of the value here is wrong. */
  addAt(field: string, message: string): void {
    this.at(field).add(message)
  }

  /** Reports a text field that is empty; returns what it holds. */
  required(field: string, value: string): string {
    if (value === '') this.addAt(field, 'is required')
    return value
  }

  // Only built when there is something to report: a good resource pays for no path.
  #path(): string {
    const own = this.#index < 0 ? this.#segment : `${this.#segment}[${this.#index}]`
    if (this.#parent === null) return own
    const before = this.#parent.#path()
    return this.#parent.#parent === null ? `${before}: ${own}` : `${before}.${own}`
  }
}
