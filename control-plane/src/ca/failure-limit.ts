import type { Clock } from '../runtime.ts'
import { TokenBucket } from './token-bucket.ts'

/** Addresses that are remembered at once; beyond it those long quiet are forgotten first. */
const maxAddresses = 10_000

/** Limits failed attempts by address, so that secrets cannot be guessed and the log cannot be flooded. Successes do not count. */
export class FailureLimit {
  readonly #clock: Clock
  readonly #perMinute: number
  readonly #buckets = new Map<string, TokenBucket>()

  /** @param perMinute failures a minute, and as many at once; default 10 */
  constructor(clock: Clock, perMinute = 10) {
    this.#clock = clock
    this.#perMinute = perMinute
  }

  /** Whether an address may try. */
  allows(address: string): boolean {
    return this.#buckets.get(address)?.available ?? true
  }

  /** Counts a failed attempt. */
  failed(address: string): void {
    let bucket = this.#buckets.get(address)
    if (!bucket) {
      if (this.#buckets.size >= maxAddresses) this.#forget()
      bucket = new TokenBucket(this.#clock, this.#perMinute / 60, this.#perMinute)
      this.#buckets.set(address, bucket)
    }
    bucket.take()
  }

  #forget(): void {
    for (const [address, bucket] of this.#buckets) if (bucket.full) this.#buckets.delete(address)
    const [oldest] = this.#buckets.keys()
    if (this.#buckets.size >= maxAddresses && oldest !== undefined) this.#buckets.delete(oldest)
  }
}
