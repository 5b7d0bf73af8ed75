import type { Clock } from '../runtime.ts'

/** How many retries a caller may add to its requests. */
export interface TokenRetryBudgetOptions {
  /** How long a request counts; default 10,000. */
  readonly ttlMs?: number
  /** Retries allowed per request, above 0; default 0.2. */
  readonly retryRatio?: number
  /** Retries a second allowed whatever the number of requests; default 10. */
  readonly minRetriesPerSecond?: number
}

const slotCount = 10

/**
 * A budget of retries as Finagle and Linkerd keep it: each request deposits one token, which is lost after the time to live, and each retry costs
 * `1 / ratio` of them; a reserve allows a few retries to a caller with few requests. Beside the circuit breaker's limit on concurrent retries it
 * keeps a slow failure of everything from multiplying the load. Free of timers and of allocation.
 */
export class TokenRetryBudget {
  readonly #clock: Clock
  readonly #slotMs: number
  readonly #cost: number
  readonly #reserve: number
  /** Deposits less withdrawals of each tenth of the time to live. */
  readonly #slots = new Float64Array(slotCount)
  #balance = 0
  #tick: number

  constructor(clock: Clock, options: TokenRetryBudgetOptions = {}) {
    const { ttlMs = 10_000, retryRatio = 0.2, minRetriesPerSecond = 10 } = options
    this.#clock = clock
    this.#slotMs = ttlMs / slotCount
    this.#cost = 1 / retryRatio
    this.#reserve = (minRetriesPerSecond * ttlMs * this.#cost) / 1000
    this.#tick = Math.floor(clock.now() / this.#slotMs)
  }

  /** Retries that could be made now. */
  get available(): number {
    this.#expire()
    return Math.max(0, Math.floor((this.#reserve + this.#balance) / this.#cost + 1e-9))
  }

  /** A request begins; not called for its retries. */
  deposit(): void {
    this.#expire()
    this.#add(1)
  }

  /** Whether a retry may be made; takes its cost if so. */
  tryWithdraw(): boolean {
    this.#expire()
    if (this.#reserve + this.#balance < this.#cost - 1e-9) return false
    this.#add(-this.#cost)
    return true
  }

  #add(tokens: number): void {
    const slot = this.#tick % slotCount
    this.#slots[slot] = (this.#slots[slot] ?? 0) + tokens
    this.#balance += tokens
  }

  #expire(): void {
    const now = Math.floor(this.#clock.now() / this.#slotMs)
    if (now === this.#tick) return
    // After a long silence one visit to each slot is enough.
    const first = Math.max(this.#tick + 1, now - slotCount + 1)
    for (let tick = first; tick <= now; tick++) {
      const slot = tick % slotCount
      this.#balance -= this.#slots[slot] ?? 0
      this.#slots[slot] = 0
    }
    this.#tick = now
  }
}
