import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'

/** The handler of undici 6 and before, as the `fetch` built into Node 22 and 24 passes it to a dispatcher given per request. */
export interface LegacyDispatchHandler {
  onConnect?(abort: (reason?: Error) => void, context?: unknown): void
  onUpgrade?(statusCode: number, rawHeaders: Buffer[], socket: Duplex): void
  onHeaders?(statusCode: number, rawHeaders: Buffer[], resume: () => void, statusText: string): boolean | undefined
  onData?(chunk: Buffer): boolean | undefined
  onComplete?(rawTrailers: Buffer[]): void
  onError?(error: Error): void
  onBodySent?(chunk: unknown, totalBytesSent?: number): void
  onRequestSent?(): void
  onResponseStarted?(): void
}

type Headers = Record<string, string | string[] | undefined>
type RawHeaders = Dispatcher.DispatchController['rawHeaders']

/** A handler of either ABI as one of today's. Told apart by `onRequestStart`. */
export function toDispatchHandler(handler: Dispatcher.DispatchHandler | LegacyDispatchHandler): Dispatcher.DispatchHandler {
  return 'onRequestStart' in handler && typeof handler.onRequestStart === 'function'
    ? handler
    : new LegacyHandler(isLegacy(handler) ? handler : {})
}

function isLegacy(handler: object): handler is LegacyDispatchHandler {
  return !('onRequestStart' in handler)
}

/** Lets an old handler be driven with today's calls. */
class LegacyHandler implements Dispatcher.DispatchHandler {
  readonly #handler: LegacyDispatchHandler

  constructor(handler: LegacyDispatchHandler) {
    this.#handler = handler
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    this.#handler.onConnect?.(reason => controller.abort(reason ?? new Error('Request aborted')), context)
  }

  onRequestUpgrade(controller: Dispatcher.DispatchController, statusCode: number, headers: Headers, socket: Duplex): void {
    this.#handler.onUpgrade?.(statusCode, rawHeaders(controller.rawHeaders, headers), socket)
  }

  onResponseStart(controller: Dispatcher.DispatchController, statusCode: number, headers: Headers, statusText = ''): void {
    const raw = rawHeaders(controller.rawHeaders, headers)
    if (this.#handler.onHeaders?.(statusCode, raw, () => controller.resume(), statusText) === false) controller.pause()
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#handler.onData?.(chunk) === false) controller.pause()
  }

  onResponseEnd(controller: Dispatcher.DispatchController, trailers: Headers): void {
    this.#handler.onComplete?.(rawHeaders(controller.rawTrailers, trailers))
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#handler.onError === undefined) throw error
    this.#handler.onError(error)
  }

  onBodySent(chunk: Buffer): void {
    this.#handler.onBodySent?.(chunk)
  }

  onRequestSent(): void {
    this.#handler.onRequestSent?.()
  }

  onResponseStarted(): void {
    this.#handler.onResponseStarted?.()
  }
}

function rawHeaders(raw: RawHeaders, parsed: Headers): Buffer[] {
  const list: Buffer[] = []
  if (Array.isArray(raw)) {
    for (const item of raw) list.push(typeof item === 'string' ? Buffer.from(item, 'latin1') : item)
    return list
  }
  for (const [name, value] of Object.entries(raw ?? parsed)) {
    for (const one of Array.isArray(value) ? value : [value ?? '']) {
      list.push(Buffer.from(name, 'latin1'), Buffer.from(String(one), 'latin1'))
    }
  }
  return list
}
