import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'

type Controller = Dispatcher.DispatchController
type Headers = Record<string, string | string[] | undefined>

/** What an exchange hears of an attempt, with its number: a number that is not the running one's is late. */
export interface AttemptEvents {
  onAttemptStart(attempt: number, controller: Controller): void
  onAttemptUpgrade(attempt: number, controller: Controller, statusCode: number, headers: Headers, socket: Duplex): void
  onAttemptStarted(attempt: number): void
  onAttemptResponse(attempt: number, controller: Controller, statusCode: number, headers: Headers, statusText?: string): void
  onAttemptData(attempt: number, controller: Controller, chunk: Buffer): void
  onAttemptEnd(attempt: number, controller: Controller, trailers: Headers): void
  onAttemptError(attempt: number, controller: Controller | null, error: Error): void
  onAttemptBody(attempt: number, chunk: Buffer): void
  onAttemptSent(attempt: number): void
}

/** undici's handler of every attempt but the first. */
export class RetryAttempt implements Dispatcher.DispatchHandler {
  readonly #events: AttemptEvents
  readonly #attempt: number

  constructor(events: AttemptEvents, attempt: number) {
    this.#events = events
    this.#attempt = attempt
  }

  onRequestStart(controller: Controller): void {
    this.#events.onAttemptStart(this.#attempt, controller)
  }

  onRequestUpgrade(controller: Controller, statusCode: number, headers: Headers, socket: Duplex): void {
    this.#events.onAttemptUpgrade(this.#attempt, controller, statusCode, headers, socket)
  }

  onResponseStarted(): void {
    this.#events.onAttemptStarted(this.#attempt)
  }

  onResponseStart(controller: Controller, statusCode: number, headers: Headers, statusText?: string): void {
    this.#events.onAttemptResponse(this.#attempt, controller, statusCode, headers, statusText)
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    this.#events.onAttemptData(this.#attempt, controller, chunk)
  }

  onResponseEnd(controller: Controller, trailers: Headers): void {
    this.#events.onAttemptEnd(this.#attempt, controller, trailers)
  }

  onResponseError(controller: Controller | null, error: Error): void {
    this.#events.onAttemptError(this.#attempt, controller, error)
  }

  onBodySent(chunk: Buffer): void {
    this.#events.onAttemptBody(this.#attempt, chunk)
  }

  onRequestSent(): void {
    this.#events.onAttemptSent(this.#attempt)
  }
}
