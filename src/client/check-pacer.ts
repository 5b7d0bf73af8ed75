import type { Clock, Timer } from '../runtime.ts'

/** A check that is due. */
export interface PacedCheck {
  /** It goes on a connection that is there; a new one is most of what a check costs. */
  readonly isConnected: boolean
  check(): void
}

/** From the beginning of one turn to that of the next, while checks wait. */
const turnMs = 4

/** Checks of one kind. */
class Lane {
  readonly perTurn: number
  /** In this turn. */
  begun = 0
  readonly waiting = new Set<PacedCheck>()

  constructor(perTurn: number) {
    this.perTurn = perTurn
  }

  /** Begins those that waited longest. */
  beginSome(): void {
    this.begun = 0
    for (const each of this.waiting) {
      if (this.begun === this.perTurn) break
      this.waiting.delete(each)
      this.begun++
      each.check()
    }
  }
}

/**
 * Lets few health checks begin in one turn of the event loop, whatever number of all clusters is due: the others are late rather than that
 * everything waits for them. Envoy has a thread of its own for its checks, and no such limit.
 */
export class CheckPacer {
  readonly #clock: Clock
  readonly #connecting = new Lane(4)
  readonly #connected = new Lane(32)
  #turnBegan = Number.NEGATIVE_INFINITY
  #timer: Timer | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Begins it, at once if there is room in this turn. */
  begin(check: PacedCheck): void {
    const lane = check.isConnected ? this.#connected : this.#connecting
    const now = this.#clock.now()
    if (this.#timer === null && now - this.#turnBegan >= turnMs) {
      this.#turnBegan = now
      this.#connecting.begun = 0
      this.#connected.begun = 0
    }
    if (lane.waiting.size > 0 || lane.begun === lane.perTurn) {
      lane.waiting.add(check)
      this.#timer ??= this.#clock.setTimeout(() => this.#turn(), turnMs)
      return
    }
    lane.begun++
    check.check()
  }

  /** Begins it in another turn, the next one if there is room. */
  defer(check: PacedCheck): void {
    const lane = check.isConnected ? this.#connected : this.#connecting
    lane.waiting.add(check)
    this.#timer ??= this.#clock.setTimeout(() => this.#turn(), 0)
  }

  /** It is not to begin any more. */
  leave(check: PacedCheck): void {
    this.#connecting.waiting.delete(check)
    this.#connected.waiting.delete(check)
    if (this.#isIdle) this.#stop()
  }

  get #isIdle(): boolean {
    return this.#connecting.waiting.size === 0 && this.#connected.waiting.size === 0
  }

  #turn(): void {
    this.#timer = null
    this.#turnBegan = this.#clock.now()
    this.#connecting.beginSome()
    this.#connected.beginSome()
    if (!this.#isIdle) this.#timer ??= this.#clock.setTimeout(() => this.#turn(), turnMs)
  }

  #stop(): void {
    this.#timer?.cancel()
    this.#timer = null
  }
}
