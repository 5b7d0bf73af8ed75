import type { Dispatcher } from 'undici'
import { isOneShot } from './body-encoder.ts'
import { FetchHop } from './fetch-hop.ts'
import { maxRedirects, redirectRequest } from './fetch-redirect.ts'
import type { MeshResponse } from './mesh-response.ts'
import { type PlainRequest, pathOf } from './plain-request.ts'

/** All that fetch needs of a dispatcher. */
export interface FetchDispatcher {
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean
}

type Resolve = (response: Response) => void
type Reject = (reason: unknown) => void

/** One call of fetch: the promise, the caller's abort signal, and the hops from redirect to redirect. */
export class FetchCall {
  readonly request: PlainRequest
  readonly #dispatcher: FetchDispatcher
  #resolve: Resolve | null
  #reject: Reject | null
  #hop: FetchHop | null = null
  #listens = false
  #isRepeated = false
  /** Redirects followed so far. */
  redirects = 0
  /** Whether a redirect led to another origin: the answer's `type` is then `cors`. */
  isCors = false

  constructor(dispatcher: FetchDispatcher, request: PlainRequest, resolve: Resolve, reject: Reject) {
    this.#dispatcher = dispatcher
    this.request = request
    this.#resolve = resolve
    this.#reject = reject
  }

  start(): void {
    const { signal } = this.request
    if (signal !== null) {
      if (signal.aborted) {
        this.handleEvent()
        return
      }
      this.#listens = true
      signal.addEventListener('abort', this)
    }
    this.#send()
  }

  /** The signal's listener. */
  handleEvent(): void {
    const { signal, body } = this.request
    this.#settle()?.(signal?.reason)
    // A stream that is being sent is locked, and cancelled by whoever sends it.
    if (body instanceof ReadableStream && !body.locked) body.cancel(signal?.reason).catch(() => {})
    this.#hop?.abort(signal?.reason || new DOMException('The operation was aborted.', 'AbortError'))
    this.release()
  }

  /** @param isOver whether nothing follows the headers */
  succeed(response: MeshResponse, isOver: boolean): void {
    const resolve = this.#resolve
    this.#settle()
    resolve?.(response)
    if (isOver) this.release()
  }

  /** Rejects as Node does. Returns true, for a handler that has nothing more to do. */
  fail(cause: unknown): true {
    this.#settle()?.(new TypeError('fetch failed', { cause: cause instanceof Error ? cause : new Error(String(cause)) }))
    this.release()
    return true
  }

  /** Follows a redirect, or fails where it must not be followed. */
  follow(status: number, location: string): true {
    const { request } = this
    const before = request.origin
    const error =
      this.redirects === maxRedirects ? new Error('redirect count exceeded') : redirectRequest(request, status, location)
    if (error !== null) return this.fail(error)
    this.redirects++
    this.isCors ||= request.origin !== before
    this.#send()
    return true
  }

  /** Sends the request once more, for a server that says it is not the one to answer (RFC 9110, 15.5.20). */
  repeat(): boolean {
    if (this.#isRepeated || isOneShot(this.request.body)) return false
    this.#isRepeated = true
    this.#send()
    return true
  }

  /** The answer is over: lets go of the signal. */
  release(): void {
    if (!this.#listens) return
    this.#listens = false
    this.request.signal?.removeEventListener('abort', this)
  }

  // Resolvers hold the promise and so the response, which must stay collectable while its body flows.
  #settle(): Reject | null {
    const reject = this.#reject
    this.#resolve = null
    this.#reject = null
    return reject
  }

  #send(): void {
    const { origin, href, method, headers, body } = this.request
    const hop = new FetchHop(this)
    this.#hop = hop
    const options = {
      origin,
      path: pathOf(href),
      method,
      headers,
      body: body as Dispatcher.DispatchOptions['body'],
    }
    try {
      this.#dispatcher.dispatch(options as Dispatcher.DispatchOptions, hop)
    } catch (error) {
      hop.onResponseError(null, error)
    }
  }
}
