import type { Dispatcher } from 'undici'
import { type TimerWheel, WheelTimer } from '../timer-wheel.ts'

/** Time a discarded answer has to end by itself. */
const discardTimeoutMs = 1000

/**
 * The rest of an answer that nobody will read, because another attempt follows. It is read for the sake of its connection while it is short
 * and quick; otherwise the connection is closed.
 */
export class Discard extends WheelTimer {
  readonly controller: Dispatcher.DispatchController
  readonly #wheel: TimerWheel
  #bytesLeft: number

  constructor(controller: Dispatcher.DispatchController, wheel: TimerWheel, now: number, maxBytes: number) {
    super()
    this.controller = controller
    this.#wheel = wheel
    this.#bytesLeft = maxBytes
    wheel.schedule(this, now + discardTimeoutMs)
  }

  /** Part of the answer has come. */
  take(bytes: number): void {
    this.#bytesLeft -= bytes
    if (this.#bytesLeft < 0) this.stop()
  }

  /** The answer is over. */
  end(): void {
    this.#wheel.cancel(this)
  }

  /** Closes the connection. */
  stop(): void {
    this.#wheel.cancel(this)
    this.controller.abort(new Error('the answer is not wanted any more'))
  }

  onTimer(): void {
    this.stop()
  }
}
