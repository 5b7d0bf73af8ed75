import type { Clock, Timer } from '../../src/runtime.ts'

interface Pending {
  readonly at: number
  readonly order: number
  readonly callback: () => void
}

/** A clock that moves only when the test says so. Timers fire in order of time, then of creation. */
export class ManualClock implements Clock {
  #now = 0
  #order = 0
  readonly #pending = new Set<Pending>()
  #epoch: number

  constructor(epoch = 1_700_000_000_000) {
    this.#epoch = epoch
  }

  now(): number {
    return this.#now
  }

  wallNow(): number {
    return this.#epoch + this.#now
  }

  setTimeout(callback: () => void, delayMs: number): Timer {
    const pending = { at: this.#now + Math.max(0, delayMs), order: this.#order++, callback }
    this.#pending.add(pending)
    return { cancel: () => this.#pending.delete(pending) }
  }

  /** Sets the wall clock forward or back, as NTP does, or as it is found after a machine has slept: no timer notices. */
  stepWall(ms: number): void {
    this.#epoch += ms
  }

  /** Timers that have not fired. */
  get pendingTimers(): number {
    return this.#pending.size
  }

  /** Moves time forward and fires what falls due, timers set by those timers included. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#now = Math.max(this.#now, next.at)
      this.#pending.delete(next)
      next.callback()
    }
    this.#now = end
  }

  /** Something holds the event loop for so long: what falls due meanwhile fires at the end of it, and what that sets not yet. */
  hold(ms: number): void {
    this.#now += ms
    const due = [...this.#pending].filter(({ at }) => at <= this.#now).sort((a, b) => a.at - b.at || a.order - b.order)
    for (const pending of due) if (this.#pending.delete(pending)) pending.callback()
  }

  /** {@link advance}, letting promises settle after each millisecond step of `stepMs`. */
  async advanceAsync(ms: number, stepMs = ms): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      this.advance(Math.min(stepMs, left))
      await new Promise(resolve => setImmediate(resolve))
    }
  }

  #next(end: number): Pending | undefined {
    let next: Pending | undefined
    for (const pending of this.#pending) {
      if (pending.at > end) continue
      if (!next || pending.at < next.at || (pending.at === next.at && pending.order < next.order)) next = pending
    }
    return next
  }
}
