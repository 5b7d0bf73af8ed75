import type { LbEndpoint } from '../model/endpoint.ts'

/** The endpoints of one locality, each with its place in the bytes that it was read from. */
export class EndpointBytes {
  readonly #bytes: Uint8Array
  readonly #endpoints: LbEndpoint[] = []
  /** Start and end of each in turn. */
  #places = new Uint32Array(64)

  /** @param bytes must not change any more */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get endpoints(): readonly LbEndpoint[] {
    return this.#endpoints
  }

  add(endpoint: LbEndpoint, start: number, end: number): void {
    const at = 2 * this.#endpoints.length
    if (at === this.#places.length) {
      const larger = new Uint32Array(2 * at)
      larger.set(this.#places)
      this.#places = larger
    }
    this.#places[at] = start
    this.#places[at + 1] = end
    this.#endpoints.push(endpoint)
  }

  /** The endpoint at `index`, if it was read from the same bytes as those from `start` to `end` of `bytes`. */
  match(index: number, bytes: Uint8Array, start: number, end: number): LbEndpoint | undefined {
    const own = this.#places[2 * index] ?? 0
    const ownEnd = this.#places[2 * index + 1] ?? 0
    if (index >= this.#endpoints.length || ownEnd - own !== end - start) return undefined
    const before = this.#bytes
    // From the end: addresses differ in their last digits.
    for (let offset = end - start - 1; offset >= 0; offset--) {
      if (before[own + offset] !== bytes[start + offset]) return undefined
    }
    return this.#endpoints[index]
  }
}

/** How many endpoints may have left in a row before those after them are read anew. */
const maxSkipped = 64

/** Finds the endpoints of an update among those of the assignment before it, in the same order. */
export class EndpointCursor {
  readonly #before: EndpointBytes
  #at = 0

  constructor(before: EndpointBytes) {
    this.#before = before
  }

  /** The endpoint that was read from the same bytes, if it comes soon after the one found last. */
  find(bytes: Uint8Array, start: number, end: number): LbEndpoint | undefined {
    for (let skipped = 0; skipped <= maxSkipped; skipped++) {
      const found = this.#before.match(this.#at + skipped, bytes, start, end)
      if (found === undefined) continue
      this.#at += skipped + 1
      return found
    }
    return undefined
  }
}
