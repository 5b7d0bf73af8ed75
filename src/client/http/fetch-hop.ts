import type { Dispatcher } from 'undici'
import { codingsOf, type DecodedSink, Decompressor, maxContentCodings } from './decompress.ts'
import type { FetchCall } from './fetch-call.ts'
import { isRedirectStatus } from './fetch-redirect.ts'
import { type BodySource, IncomingBody, unreadLimitBytes } from './incoming-body.ts'
import type { IncomingHeaders } from './mesh-headers.ts'
import { MeshResponse } from './mesh-response.ts'

/** Bytes of an answer nobody will see (of a redirect) that are read to keep the connection; with more to come it is given up. */
const drainLimitBytes = 64 * 1024

/** One request and its answer on the way to the final answer of a fetch: the dispatcher's handler, and the source of the body. */
export class FetchHop implements Dispatcher.DispatchHandler, BodySource, DecodedSink {
  readonly #call: FetchCall
  #controller: Dispatcher.DispatchController | null = null
  #body: IncomingBody | null = null
  #decompressor: Decompressor | null = null
  /** Nobody is interested in what still comes. */
  #isDropped = false
  #droppedBytes = 0
  /** Bytes of the status line: where the first header is, when the head is the first thing in its buffer. */
  #headLength = 0
  #isEnded = false
  #isAborted = false
  #reason: unknown = undefined

  constructor(call: FetchCall) {
    this.#call = call
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#isAborted) controller.abort(this.#reason as Error)
  }

  onRequestUpgrade(controller: Dispatcher.DispatchController): void {
    controller.abort(new Error('bad upgrade'))
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHeaders,
    statusText: string | undefined,
  ): void {
    if (status < 200 || this.#isDropped) return
    if (this.#isPassedOver(status, headers)) {
      this.#isDropped = true
      return
    }
    const call = this.#call
    const { request } = call
    const hasBody =
      status !== 204 && status !== 205 && status !== 304 && request.method !== 'HEAD' && request.method !== 'CONNECT'
    this.#headLength = 'HTTP/1.1 200 \r\n'.length + (statusText?.length ?? 0)
    if (hasBody) {
      const codings = codingsOf(headerOf(headers, 'content-encoding'))
      if (codings.length > maxContentCodings) {
        this.#refuse(controller, codings.length)
        return
      }
      this.#body = new IncomingBody(this)
      if (codings.length > 0) this.#decompressor = new Decompressor(codings, this)
    }
    const type = call.isCors ? 'cors' : 'basic'
    const response = new MeshResponse(status, statusText ?? '', headers, request.href, call.redirects > 0, type, this.#body)
    if (this.#body === null) this.#isDropped = true
    else if (!(Number(headers['content-length']) < unreadLimitBytes)) unread.register(response, this.#body)
    call.succeed(response, this.#body === null)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isDropped) {
      this.#droppedBytes += chunk.length
      if (this.#droppedBytes > drainLimitBytes) controller.abort(new Error('the answer is not wanted'))
    } else if (this.#decompressor !== null) {
      this.#decompressor.write(chunk)
    } else {
      this.#body?.push(chunk)
    }
  }

  onResponseEnd(): void {
    this.#isEnded = true
    if (this.#isDropped) return
    if (this.#decompressor !== null) this.#decompressor.end()
    else this.#body?.end()
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: unknown): void {
    this.#isEnded = true
    if (this.#isDropped) return
    this.#isDropped = true
    this.#decompressor?.destroy()
    if (this.#body === null) this.#call.fail(error)
    else this.#body.fail(terminated(error))
  }

  /** The caller aborts: the request ends, and whoever waits for the body gets `reason` itself. */
  abort(reason: unknown): void {
    this.#isAborted = true
    this.#reason = reason
    this.#isDropped = true
    this.#decompressor?.destroy()
    this.#body?.fail(reason)
    if (!this.#isEnded) this.#controller?.abort(reason as Error)
  }

  push(chunk: Buffer): void {
    this.#body?.push(chunk)
  }

  end(): void {
    this.#body?.end()
  }

  fail(error: Error): void {
    this.#isDropped = true
    this.#body?.fail(terminated(error))
    if (!this.#isEnded) this.#controller?.abort(error)
  }

  pause(): void {
    if (this.#decompressor !== null) this.#decompressor.pause()
    else this.#controller?.pause()
  }

  resume(): void {
    if (this.#decompressor !== null) this.#decompressor.resume()
    else this.#controller?.resume()
  }

  full(): void {
    this.#controller?.pause()
  }

  drained(): void {
    this.#controller?.resume()
  }

  abandon(reason: unknown): void {
    this.#isDropped = true
    this.#decompressor?.destroy()
    if (!this.#isEnded) this.#controller?.abort((reason ?? new DOMException('The operation was aborted.', 'AbortError')) as Error)
  }

  headBuffer(): ArrayBufferLike | null {
    const raw = this.#controller?.rawHeaders
    const first = Array.isArray(raw) ? raw[0] : null
    return typeof first === 'object' && first !== null && first.byteOffset === this.#headLength ? first.buffer : null
  }

  settled(): void {
    this.#call.release()
  }

  /** Whether this answer is not the caller's: the call goes on with another request, or has failed for it. */
  #isPassedOver(status: number, headers: IncomingHeaders): boolean {
    const call = this.#call
    if (isRedirectStatus(status) && call.request.redirect !== 'manual') {
      if (call.request.redirect === 'error') return call.fail(new Error('unexpected redirect'))
      const location = headerOf(headers, 'location')
      if (location !== null) return call.follow(status, location)
    }
    if (status === 407) return call.fail(new Error())
    return status === 421 && call.repeat()
  }

  #refuse(controller: Dispatcher.DispatchController, codings: number): void {
    const error = new Error(`too many content-encodings in response: ${codings}, maximum allowed is ${maxContentCodings}`)
    this.#isDropped = true
    this.#call.fail(error)
    controller.abort(error)
  }
}

/** A failure after the headers, as Node's fetch reports it to the reader of the body. */
function terminated(cause: unknown): TypeError {
  return new TypeError('terminated', { cause })
}

function headerOf(headers: IncomingHeaders, name: string): string | null {
  const value = headers[name]
  return value === undefined ? null : typeof value === 'string' ? value : value.join(', ')
}

/** Frees the connection of an answer that was forgotten before it was read. Short answers end by themselves. */
const unread = new FinalizationRegistry<IncomingBody>(body => body.forget())
