import type { Dispatcher } from 'undici'
import type { Clock } from '../../runtime.ts'

/** What to ask an endpoint. */
export interface HealthRequest {
  readonly method: string
  readonly path: string
  /** Flat: name, value, name, value … */
  readonly headers: string[]
}

/** Sends a request and resolves with the status of its answer once that is complete; 0: there was none within `timeoutMs`. */
export function checkHttpHealth(
  dispatcher: Dispatcher,
  { method, path, headers }: HealthRequest,
  clock: Clock,
  timeoutMs: number,
): Promise<number> {
  return new Promise(resolve => {
    const handler = new StatusHandler(status => {
      timer.cancel()
      resolve(status)
    })
    const timer = clock.setTimeout(() => handler.giveUp(), timeoutMs)
    dispatcher.dispatch({ method: method as Dispatcher.HttpMethod, path, headers }, handler)
  })
}

/** Waits for a status; 0: there was none. */
class StatusHandler implements Dispatcher.DispatchHandler {
  readonly #tell: (status: number) => void
  #controller: Dispatcher.DispatchController | null = null
  #isGivenUp = false
  #status = 0

  constructor(tell: (status: number) => void) {
    this.#tell = tell
  }

  giveUp(): void {
    this.#isGivenUp = true
    this.#controller?.abort(new Error('the health check is late'))
    this.#tell(0)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#isGivenUp) controller.abort(new Error('the health check is late'))
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    if (status >= 200) this.#status = status
  }

  onResponseData(): void {}

  onResponseEnd(): void {
    if (!this.#isGivenUp) this.#tell(this.#status)
  }

  onResponseError(): void {
    if (!this.#isGivenUp) this.#tell(0)
  }
}
