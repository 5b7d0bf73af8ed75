import type { Dispatcher } from 'undici'
import type { Clock, Timer } from '../../runtime.ts'
import type { MirroredRequest } from '../mirror.ts'

/** Longest life of a mirrored request whose route has no timeout: Envoy's default of a route. */
const defaultTimeoutMs = 15_000

/** Reads the answer to a mirrored request to its end, for nobody. */
export class MirrorHandler implements Dispatcher.DispatchHandler {
  readonly #mirrored: MirroredRequest
  readonly #timer: Timer
  #controller: Dispatcher.DispatchController | null = null
  #isLate = false
  #statusCode = 0

  /** @param timeoutMs 0: that of the route is off */
  constructor(mirrored: MirroredRequest, clock: Clock, timeoutMs: number) {
    this.#mirrored = mirrored
    this.#timer = clock.setTimeout(() => this.#expire(), timeoutMs === 0 ? defaultTimeoutMs : timeoutMs)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#isLate) controller.abort(new Error('the mirrored request is late'))
  }

  onResponseStart(_controller: Dispatcher.DispatchController, statusCode: number): void {
    this.#statusCode = statusCode
  }

  onResponseData(): void {}

  onResponseEnd(): void {
    this.#end()
  }

  onResponseError(): void {
    this.#end()
  }

  #expire(): void {
    this.#isLate = true
    this.#controller?.abort(new Error('the mirrored request is late'))
    this.#end()
  }

  #end(): void {
    this.#timer.cancel()
    this.#mirrored.end(this.#statusCode)
  }
}
