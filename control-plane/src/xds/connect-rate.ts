import type { Clock } from '../runtime.ts'

/** A token bucket over new streams: after an outage all clients come back, and serving them must not starve those already here. */
export class ConnectRate {
  readonly #clock: Clock
  readonly #perSecond: number
  #tokens: number
  #at: number

  /** @param perSecond streams a second, and as many at once; 0 admits all */
  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock
    this.#perSecond = perSecond
    this.#tokens = perSecond
    this.#at = clock.now()
  }

  /** Whether one more stream may open now. */
  admit(): boolean {
    if (this.#perSecond === 0) return true
    const now = this.#clock.now()
    this.#tokens = Math.min(this.#perSecond, this.#tokens + ((now - this.#at) / 1000) * this.#perSecond)
    this.#at = now
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}
