import type { ResponseFlag } from '../telemetry/response-flag.ts'
import { type ExchangeEnvironment, ExchangeRecord } from './exchange-record.ts'
import type { Target } from './target.ts'

/**
 * The times of an exchange: the end of the whole, the end of the wait for an answer, and silence. One place in the timer wheel serves all
 * three: it is taken for the nearest, and what is not due yet when it fires is waited for again.
 */
export abstract class TimedExchange extends ExchangeRecord {
  #deadlineAt: number
  #deadlineFlag: ResponseFlag
  #tryDeadlineAt: number
  #idleMs: number
  #idleAt: number
  /** Something has come or gone since the last look. */
  #isActive: boolean

  constructor(environment: ExchangeEnvironment, target: Target, authority: string, scheme: string, method: string, path: string) {
    super(environment, target, authority, scheme, method, path)
    this.#deadlineAt = 0
    this.#deadlineFlag = 'UT'
    this.#tryDeadlineAt = 0
    this.#idleMs = 0
    this.#idleAt = 0
    this.#isActive = false
  }

  /** The whole has taken too long. `flag` is of the limit that was reached. */
  protected abstract onDeadline(flag: ResponseFlag): void
  /** The attempt has not been answered in time. */
  protected abstract onTryDeadline(): void
  /** Nothing has come or gone for `idleMs`. */
  protected abstract onIdle(idleMs: number): void
  /** Silence is the caller's own doing. */
  protected abstract isHeldBack(): boolean

  /** Brings the end nearer; never further away. To be followed by {@link arm}. */
  protected limit(dueAt: number, flag: ResponseFlag): void {
    if (this.#deadlineAt !== 0 && this.#deadlineAt <= dueAt) return
    this.#deadlineAt = dueAt
    this.#deadlineFlag = flag
  }

  /** An attempt is to be answered by `dueAt`; 0 takes that back. */
  protected limitTry(dueAt: number): void {
    if (this.#tryDeadlineAt === dueAt) return
    this.#tryDeadlineAt = dueAt
    this.arm()
  }

  /** Silence counts from `now` on; 0 never counts it. To be followed by {@link arm}. */
  protected watchIdle(idleMs: number, now: number): void {
    this.#idleMs = idleMs
    this.#idleAt = idleMs === 0 ? 0 : now + idleMs
  }

  /** Something has come or gone. Looks at no clock: silence is noticed after one to two times its limit. */
  protected touch(): void {
    this.#isActive = true
  }

  /** Nothing falls due any more. */
  protected disarm(): void {
    this.#deadlineAt = 0
    this.#tryDeadlineAt = 0
    this.#idleAt = 0
    this.environment.wheel.cancel(this)
  }

  onTimer(): void {
    const now = this.environment.clock.now()
    if (this.#deadlineAt !== 0 && now >= this.#deadlineAt) {
      this.onDeadline(this.#deadlineFlag)
    } else if (this.#tryDeadlineAt !== 0 && now >= this.#tryDeadlineAt) {
      this.#tryDeadlineAt = 0
      this.arm()
      this.onTryDeadline()
    } else if (this.#idleAt !== 0 && now >= this.#idleAt && !this.#isActive && !this.isHeldBack()) {
      this.onIdle(this.#idleMs)
    } else {
      if (this.#idleAt !== 0 && now >= this.#idleAt) {
        this.#isActive = false
        this.#idleAt = now + this.#idleMs
      }
      this.arm()
    }
  }

  /** Waits for the nearest of what has been set. */
  protected arm(): void {
    const { wheel } = this.environment
    let dueAt = this.#deadlineAt
    if (this.#tryDeadlineAt !== 0 && (dueAt === 0 || this.#tryDeadlineAt < dueAt)) dueAt = this.#tryDeadlineAt
    if (this.#idleAt !== 0 && (dueAt === 0 || this.#idleAt < dueAt)) dueAt = this.#idleAt
    if (dueAt === 0) wheel.cancel(this)
    else wheel.schedule(this, dueAt)
  }
}
