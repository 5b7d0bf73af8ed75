import type { Clock, Timer } from '../runtime.ts'

/** Something that can wait in a {@link TimerWheel}: one due time at most. Extend it; the fields are the wheel's. */
export abstract class WheelTimer {
  /** Tick at which it falls due, or 0 when it is in no wheel. */
  dueTick = 0
  wheelPrevious: WheelTimer | null = null
  wheelNext: WheelTimer | null = null

  /** Called once the due time has passed. It may be scheduled again from here. */
  abstract onTimer(): void
}

/** The end of a slot's ring; never due. */
class Slot extends WheelTimer {
  onTimer(): void {}
}

const slotCount = 512
/** How late the underlying timer may be; beyond, something held the event loop. */
const maxLagMs = 50

/**
 * One coarse timer for all requests: arming and cancelling are O(1) and allocate nothing. A timer never fires early, and at most
 * one tick late. The underlying timer is set for the nearest due time that it was ever asked for: of requests that are answered long before
 * theirs, it hears once in all that time. After something held the event loop, what came meanwhile is read before timers fire: an answer
 * that was there in time is no timeout.
 */
export class TimerWheel {
  readonly tickMs: number
  readonly #clock: Clock
  readonly #slots: Slot[] = []
  #waiting = 0
  #doneTick: number
  #timer: Timer | null = null
  /** When the underlying timer is due; without one, never. */
  #tickAt = Number.POSITIVE_INFINITY
  /** It was late, and gave way once. */
  #isDeferred = false

  /** @param tickMs resolution; default 5 */
  constructor(clock: Clock, tickMs = 5) {
    this.#clock = clock
    this.tickMs = tickMs
    this.#doneTick = Math.floor(clock.now() / tickMs)
    for (let index = 0; index < slotCount; index++) {
      const slot = new Slot()
      slot.wheelNext = slot
      slot.wheelPrevious = slot
      this.#slots.push(slot)
    }
  }

  /** Timers that have neither fired nor been cancelled. */
  get waiting(): number {
    return this.#waiting
  }

  /** Arms `timer` for `dueAt` on the clock's monotonic time, replacing what it was armed for. */
  schedule(timer: WheelTimer, dueAt: number): void {
    if (timer.dueTick !== 0) this.cancel(timer)
    const dueTick = Math.max(Math.ceil(dueAt / this.tickMs), this.#doneTick + 1)
    if (dueTick * this.tickMs < this.#tickAt) this.#arm(dueTick * this.tickMs)
    const slot = this.#slots[dueTick & (slotCount - 1)]
    if (slot === undefined) return
    const last = slot.wheelPrevious ?? slot
    timer.dueTick = dueTick
    timer.wheelPrevious = last
    timer.wheelNext = slot
    last.wheelNext = timer
    slot.wheelPrevious = timer
    this.#waiting++
  }

  /** Disarms `timer`; harmless when it waits in no wheel. */
  cancel(timer: WheelTimer): void {
    if (timer.dueTick === 0) return
    const { wheelPrevious, wheelNext } = timer
    if (wheelPrevious !== null) wheelPrevious.wheelNext = wheelNext
    if (wheelNext !== null) wheelNext.wheelPrevious = wheelPrevious
    timer.dueTick = 0
    timer.wheelPrevious = null
    timer.wheelNext = null
    this.#waiting--
  }

  /** Stops the underlying timer; what still waits never fires. */
  close(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#tickAt = Number.POSITIVE_INFINITY
  }

  #arm(tickAt: number): void {
    this.#timer?.cancel()
    this.#tickAt = tickAt
    this.#timer = this.#clock.setTimeout(this.#tick, Math.max(0, Math.ceil(tickAt - this.#clock.now())))
  }

  readonly #tick = (): void => {
    const now = this.#clock.now()
    // Once: a process whose every turn is long has timeouts, too.
    this.#isDeferred = !this.#isDeferred && now - this.#tickAt > maxLagMs
    this.#timer = null
    this.#tickAt = Number.POSITIVE_INFINITY
    if (this.#isDeferred) {
      this.#arm(now)
      return
    }
    const nowTick = Math.floor(now / this.tickMs)
    // After a long pause each slot needs one visit only.
    const first = Math.max(this.#doneTick + 1, nowTick - slotCount + 1)
    for (let tick = first; tick <= nowTick; tick++) this.#fire(tick & (slotCount - 1), nowTick)
    this.#doneTick = Math.max(this.#doneTick, nowTick)
    if (this.#waiting > 0) this.#armForNext()
  }

  /** At the first slot from here on that has something, of which some may be due only in another turn of the wheel. */
  #armForNext(): void {
    for (let tick = this.#doneTick + 1; tick <= this.#doneTick + slotCount; tick++) {
      const slot = this.#slots[tick & (slotCount - 1)]
      if (slot === undefined || slot.wheelNext === slot) continue
      if (tick * this.tickMs < this.#tickAt) this.#arm(tick * this.tickMs)
      return
    }
  }

  #fire(index: number, nowTick: number): void {
    const slot = this.#slots[index]
    if (slot === undefined) return
    let timer = slot.wheelNext
    while (timer !== null && timer !== slot) {
      if (timer.dueTick > nowTick) {
        timer = timer.wheelNext
        continue
      }
      this.cancel(timer)
      timer.onTimer()
      // The callback may have changed the ring anywhere: begin it again. What is not due is skipped.
      timer = slot.wheelNext
    }
  }
}
