import type { Dispatcher } from 'undici'

type Controller = Dispatcher.DispatchController
type Headers = Record<string, string | string[] | undefined>

/** A handler that writes down every callback, and says when the exchange is over. */
export class RecordingHandler implements Dispatcher.DispatchHandler {
  /** Names of the callbacks in order; data and bodies are left out. */
  readonly calls: string[] = []
  readonly controllers = new Set<Controller>()
  controller: Controller | null = null
  statusCode = 0
  headers: Headers = {}
  trailers: Headers = {}
  body = ''
  error: Error | null = null
  /** Settles at the end, or at the error. */
  readonly done: Promise<void>
  /** Called on each response start. */
  onStart: ((controller: Controller, statusCode: number) => void) | null = null
  /** Called on each chunk. */
  onChunk: ((controller: Controller, chunk: Buffer) => void) | null = null
  #end = () => {}

  constructor() {
    this.done = new Promise(resolve => {
      this.#end = resolve
    })
  }

  onRequestStart(controller: Controller): void {
    this.#note('requestStart', controller)
    this.controller = controller
  }

  onRequestUpgrade(controller: Controller, statusCode: number): void {
    this.#note('requestUpgrade', controller)
    this.statusCode = statusCode
    this.#end()
  }

  onResponseStarted(): void {
    this.calls.push('responseStarted')
  }

  onResponseStart(controller: Controller, statusCode: number, headers: Headers): void {
    this.#note(`responseStart ${statusCode}`, controller)
    this.statusCode = statusCode
    this.headers = headers
    this.onStart?.(controller, statusCode)
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    this.controllers.add(controller)
    this.body += chunk.toString()
    this.onChunk?.(controller, chunk)
  }

  onResponseEnd(controller: Controller, trailers: Headers): void {
    this.#note('responseEnd', controller)
    this.trailers = trailers
    this.#end()
  }

  onResponseError(controller: Controller, error: Error): void {
    this.#note('responseError', controller)
    this.error = error
    this.#end()
  }

  onBodySent(): void {
    if (this.calls.at(-1) !== 'bodySent') this.calls.push('bodySent')
  }

  onRequestSent(): void {
    this.calls.push('requestSent')
  }

  #note(call: string, controller: Controller): void {
    this.calls.push(call)
    this.controllers.add(controller)
  }
}
