import type { Clock, Timer } from '../runtime.ts'

/** Merges a burst of calls into one, after it has been quiet for a while but no later than a bound. */
export class Debounce {
  readonly #clock: Clock
  readonly #quietMs: number
  readonly #maxMs: number
  readonly #run: () => void
  #timer: Timer | undefined
  #since = 0

  /** @param quietMs 0 runs at once */
  constructor(clock: Clock, quietMs: number, maxMs: number, run: () => void) {
    this.#clock = clock
    this.#quietMs = quietMs
    this.#maxMs = maxMs
    this.#run = run
  }

  call(): void {
    if (this.#quietMs === 0) {
      this.#run()
      return
    }
    const now = this.#clock.now()
    if (!this.#timer) this.#since = now
    this.#timer?.cancel()
    this.#timer = this.#clock.setTimeout(
      () => {
        this.#timer = undefined
        this.#run()
      },
      Math.min(this.#quietMs, Math.max(0, this.#since + this.#maxMs - now)),
    )
  }

  cancel(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }
}
