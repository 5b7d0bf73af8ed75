import type { Clock } from '../runtime.ts'

/** A rate limit: `burst` at once, `perSecond` in the long run. */
export class TokenBucket {
  readonly #clock: Clock
  readonly #perSecond: number
  readonly #burst: number
  #tokens: number
  #at: number

  constructor(clock: Clock, perSecond: number, burst: number) {
    this.#clock = clock
    this.#perSecond = perSecond
    this.#burst = burst
    this.#tokens = burst
    this.#at = clock.now()
  }

  /** Takes one token if there is one. */
  take(): boolean {
    if (!this.available) return false
    this.#tokens -= 1
    return true
  }

  /** Whether {@link take} would succeed now. */
  get available(): boolean {
    this.#refill()
    return this.#tokens >= 1
  }

  /** Whether nothing was taken lately. */
  get full(): boolean {
    this.#refill()
    return this.#tokens >= this.#burst
  }

  #refill(): void {
    const now = this.#clock.now()
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) / 1000) * this.#perSecond)
    this.#at = now
  }
}
