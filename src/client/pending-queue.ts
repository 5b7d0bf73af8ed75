import { AsyncLocalStorage } from 'node:async_hooks'
import type { Clock, Timer } from '../runtime.ts'

/** Something that waits for configuration. */
export interface Waiter {
  /** What it waited for is there, or known not to be. */
  onReady(): void
  /** It waited too long. */
  onTimeout(): void
}

/** A place in a {@link PendingQueue}. */
export interface PendingTicket {
  /** Leaves the queue without being called; harmless when it has been called. */
  cancel(): void
}

class Ticket implements PendingTicket {
  readonly waiter: Waiter
  readonly #queue: PendingQueue
  /** What the waiter goes on with runs in the caller's async context, not in the one that brought the configuration. */
  readonly #inContext: <T>(work: () => T) => T
  timer: Timer | null = null

  constructor(queue: PendingQueue, waiter: Waiter) {
    this.#queue = queue
    this.waiter = waiter
    this.#inContext = AsyncLocalStorage.snapshot()
  }

  cancel(): void {
    this.timer?.cancel()
    this.#queue.remove(this)
  }

  ready(): void {
    this.timer?.cancel()
    this.#inContext(() => this.waiter.onReady())
  }

  timeout(): void {
    this.#queue.remove(this)
    this.#inContext(() => this.waiter.onTimeout())
  }
}

/** How many requests may wait for configuration in the whole process. */
export class PendingLimit {
  readonly max: number
  count = 0

  constructor(max: number) {
    this.max = max
  }
}

/** Requests that wait until one authority is resolved: bounded, abortable, with a deadline each. */
export class PendingQueue {
  readonly #clock: Clock
  readonly #limit: PendingLimit
  readonly #tickets = new Set<Ticket>()

  constructor(clock: Clock, limit: PendingLimit) {
    this.#clock = clock
    this.#limit = limit
  }

  get length(): number {
    return this.#tickets.size
  }

  /** Returns `null` when too many wait already. */
  enter(waiter: Waiter, timeoutMs: number): PendingTicket | null {
    if (this.#limit.count >= this.#limit.max) return null
    const ticket = new Ticket(this, waiter)
    this.#tickets.add(ticket)
    this.#limit.count++
    ticket.timer = this.#clock.setTimeout(() => ticket.timeout(), timeoutMs, true)
    return ticket
  }

  /** Those that wait now, in the order of arrival. */
  waiters(): readonly Waiter[] {
    return Array.from(this.#tickets, ({ waiter }) => waiter)
  }

  /** Takes a ticket out; called by the ticket. */
  remove(ticket: Ticket): void {
    if (this.#tickets.delete(ticket)) this.#limit.count--
  }

  /** Lets everybody go on, in the order of arrival. */
  release(): void {
    const tickets = [...this.#tickets]
    this.#tickets.clear()
    this.#limit.count -= tickets.length
    for (const ticket of tickets) ticket.ready()
  }
}
