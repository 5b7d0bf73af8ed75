import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import { MeshError } from '../../errors.ts'
import { STATUS_CODES } from '../../node-http.ts'
import { mirrorAuthority } from '../../policies/mirror.ts'
import { mutateAnswer } from '../answer-headers.ts'
import type { Endpoint } from '../endpoint.ts'
import { Exchange } from '../exchange.ts'
import type { ExchangeEnvironment } from '../exchange-record.ts'
import { FlatHeaders } from '../flat-headers.ts'
import type { LocalReply } from '../local-reply.ts'
import type { MirroredRequest } from '../mirror.ts'
import { ObjectHeaders } from '../object-headers.ts'
import type { RoutePlan, RouteTimeouts } from '../route-plan.ts'
import { type HeaderSource, readHeader } from '../route-request.ts'
import type { Target } from '../target.ts'
import { classifyFailure, isCallersFault, isClosedPool } from './attempt-failure.ts'
import { attemptRequest, headerSource } from './attempt-request.ts'
import { BodyReplay, isReplayable } from './body-replay.ts'
import { isStaleConnection } from './connection-failure.ts'
import { Discard } from './discard.ts'
import { MirrorHandler } from './mirror-handler.ts'
import { type AttemptEvents, RetryAttempt } from './retry-attempt.ts'

type Controller = Dispatcher.DispatchController
type Handler = Dispatcher.DispatchHandler
type Headers = Record<string, string | string[] | undefined>

/** In the place of a caller who has got all there is, and of what it asked for. */
const nobody: Handler = {}
const nothing: Dispatcher.DispatchOptions = { path: '/', method: 'GET' }

/** Thrown to undici when an attempt that was given up reaches a connection: nothing is written, and the connection stays. */
const abandoned = new Error('attempt was given up')

/**
 * One HTTP request. It is undici's handler of the first attempt (later ones come through {@link RetryAttempt}, which knows its number), and
 * the one controller that the caller's handler ever sees: an abort works at any moment, while waiting and backing off too.
 */
export class HttpExchange extends Exchange implements Handler, Controller, AttemptEvents {
  aborted = false
  paused = false
  reason: Error | null = null
  #handler: Handler
  #options: Dispatcher.DispatchOptions
  readonly #headers: HeaderSource
  readonly #origin: string
  readonly #outside: Dispatcher | null
  /** Of the running attempt, once it is on a connection. */
  #controller: Controller | null = null
  #body: BodyReplay | null = null
  #discards: Discard[] | null = null
  #answerHeaders: Headers | null = null
  #requestWasSent = false
  /** Copies that wait for the end of the body. */
  #mirrors: MirroredRequest[] | null = null
  #answerBegan = false
  #isReplying = false

  /**
   * @param origin `scheme://authority` as the caller named it; connections belong to it
   * @param authority what the caller's Host header names, else that of the origin
   * @param options prepared: see `prepareOptions`
   * @param outside takes the call if the control plane does not know the host; `null`: that is an error
   */
  constructor(
    environment: ExchangeEnvironment,
    target: Target,
    origin: string,
    scheme: string,
    authority: string,
    options: Dispatcher.DispatchOptions,
    handler: Handler,
    outside: Dispatcher | null,
  ) {
    super(environment, target, authority, scheme, options.method, options.path)
    this.#handler = handler
    this.#options = options
    this.#headers = headerSource(options)
    this.#origin = origin
    this.#outside = outside
    const { body } = options
    if (body !== null && body !== undefined && !isReplayable(body)) this.#body = new BodyReplay(body, environment.maxReplayBytes)
  }

  /** Hands the caller its controller and runs the exchange. */
  begin(): void {
    try {
      this.#handler.onRequestStart?.(this, null)
    } catch (error) {
      this.abort(toError(error))
    }
    if (!this.aborted) this.run()
  }

  header(name: string): string | readonly string[] | undefined {
    return readHeader(this.#headers, name)
  }

  // --- The caller's controller ---

  abort(reason: Error): void {
    if (this.aborted) return
    this.aborted = true
    this.reason = reason
    if (this.phase !== 'finished') this.abortedByCaller(reason)
    else if (this.#isReplying) this.#handler.onResponseError?.(this, reason)
  }

  pause(): void {
    this.paused = true
    if (this.phase === 'committed') this.#controller?.pause()
  }

  resume(): void {
    this.paused = false
    if (this.phase === 'committed') this.#controller?.resume()
  }

  /** `null` before the answer has begun and once it is over. */
  get rawHeaders(): Exclude<Controller['rawHeaders'], undefined> {
    return this.#answerHeaders ?? this.#controller?.rawHeaders ?? null
  }

  /** `null` once the answer is over: the handler reads them when it is told so. */
  get rawTrailers(): Exclude<Controller['rawTrailers'], undefined> {
    return this.#controller?.rawTrailers ?? null
  }

  // --- undici's handler of the first attempt ---

  onRequestStart(controller: Controller): void {
    this.onAttemptStart(1, controller)
  }

  onRequestUpgrade(controller: Controller, statusCode: number, headers: Headers, socket: Duplex): void {
    this.onAttemptUpgrade(1, controller, statusCode, headers, socket)
  }

  onResponseStarted(): void {
    this.onAttemptStarted(1)
  }

  onResponseStart(controller: Controller, statusCode: number, headers: Headers, statusText?: string): void {
    this.onAttemptResponse(1, controller, statusCode, headers, statusText)
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    this.onAttemptData(1, controller, chunk)
  }

  onResponseEnd(controller: Controller, trailers: Headers): void {
    this.onAttemptEnd(1, controller, trailers)
  }

  onResponseError(controller: Controller | null, error: Error): void {
    this.onAttemptError(1, controller, error)
  }

  onBodySent(chunk: Buffer): void {
    this.onAttemptBody(1, chunk)
  }

  onRequestSent(): void {
    this.onAttemptSent(1)
  }

  // --- What every attempt tells ---

  onAttemptStart(attempt: number, controller: Controller): void {
    // undici has no other way to take a queued request back: nothing has been written yet, and the connection stays usable.
    if (attempt !== this.epoch) throw abandoned
    this.#controller = controller
    this.#answerBegan = false
    this.attemptSent()
  }

  onAttemptUpgrade(attempt: number, _controller: Controller, statusCode: number, headers: Headers, socket: Duplex): void {
    if (attempt !== this.epoch) {
      socket.destroy()
      return
    }
    this.responseStarted(statusCode, headers)
    this.responseEnded()
    this.#handler.onRequestUpgrade?.(this, statusCode, headers, socket)
  }

  onAttemptStarted(attempt: number): void {
    if (attempt !== this.epoch) return
    this.#answerBegan = true
    this.touch()
    this.#handler.onResponseStarted?.()
  }

  onAttemptResponse(attempt: number, controller: Controller, statusCode: number, headers: Headers, statusText?: string): void {
    if (attempt !== this.epoch && (statusCode < 200 || !this.takesOver(attempt, !this.#isRetriable(statusCode, headers)))) {
      if (statusCode >= 200 && controller.aborted !== true) this.#discard(controller, headers)
      return
    }
    if (statusCode < 200) {
      this.#handler.onResponseStart?.(this, statusCode, headers, statusText)
      return
    }
    if (this.responseStarted(statusCode, headers)) {
      this.#controller = null
      this.#discard(controller, headers)
      return
    }
    if (this.changesAnswer) {
      mutateAnswer(this, new ObjectHeaders(headers))
      this.#answerHeaders = headers
    }
    if (this.paused) controller.pause()
    this.#handler.onResponseStart?.(this, statusCode, headers, statusText)
  }

  onAttemptData(attempt: number, controller: Controller, chunk: Buffer): void {
    if (attempt !== this.epoch) {
      this.#discardOf(controller)?.take(chunk.length)
      return
    }
    this.touch()
    this.responseBytes += chunk.length
    this.#handler.onResponseData?.(this, chunk)
  }

  onAttemptEnd(attempt: number, controller: Controller, trailers: Headers): void {
    if (attempt !== this.epoch) {
      this.#discardOf(controller)?.end()
      return
    }
    this.responseEnded()
    try {
      this.#handler.onResponseEnd?.(this, trailers)
    } catch (error) {
      this.#handler.onResponseError?.(this, toError(error))
    }
    this.#letGo()
  }

  onAttemptError(attempt: number, controller: Controller | null, error: Error): void {
    if (attempt !== this.epoch && !this.takesOver(attempt, false)) {
      if (controller !== null) this.#discardOf(controller)?.end()
      return
    }
    if (isCallersFault(error) || this.#body?.failure?.error === error) {
      this.flag = 'DPE'
      this.fail(error)
      return
    }
    if (this.cluster === null) {
      this.fail(outsideError(error, this.target.failure))
      return
    }
    const wasSent = this.#controller !== null
    if (!wasSent && isClosedPool(error)) {
      this.attemptFailed('reset-before-request', error, 'once')
      return
    }
    this.attemptFailed(
      classifyFailure(error, wasSent),
      error,
      wasSent && !this.#answerBegan && isIdempotent(this.method) && isStaleConnection(error) ? 'once' : 'no',
    )
  }

  onAttemptBody(attempt: number, chunk: Buffer): void {
    if (attempt !== this.epoch) return
    this.touch()
    this.requestBytes += chunk.length
    this.#handler.onBodySent?.(chunk)
  }

  onAttemptSent(attempt: number): void {
    if (attempt !== this.epoch) return
    if (this.#requestWasSent) return
    this.#requestWasSent = true
    if (this.#body !== null) this.requestEnded()
    if (this.#mirrors !== null) this.#sendMirrors(this.#mirrors)
    this.#handler.onRequestSent?.()
  }

  // --- What the sequence asks ---

  protected send(endpoint: Endpoint): void {
    this.#controller = null
    const pool = endpoint.http.get(this.#origin)
    const body = this.#body ?? this.#options.body
    const isSame = body === this.#options.body && this.path === this.#options.path
    const isPlain = isSame && this.span === null && !this.changesHeaders && this.requestDeadlineAt === 0
    const options = isPlain ? this.#options : attemptRequest(this, this.#options, body, endpoint)
    pool.dispatch(options, this.attempts === 1 ? this : new RetryAttempt(this, this.attempts))
  }

  protected mirror(mirrored: MirroredRequest): void {
    if (this.#body === null) {
      this.#sendMirror(mirrored, this.#options.body)
      return
    }
    this.#mirrors ??= []
    this.#mirrors.push(mirrored)
  }

  /** A body that is not held whole cannot be sent twice. */
  #sendMirrors(mirrors: readonly MirroredRequest[]): void {
    this.#mirrors = null
    const body = this.#body?.whole() ?? null
    for (const mirrored of mirrors) {
      if (body === null) mirrored.end(0)
      else this.#sendMirror(mirrored, body)
    }
  }

  #sendMirror(mirrored: MirroredRequest, body: unknown): void {
    const { endpoint, policy } = mirrored
    const options = attemptRequest(this, this.#options, body, endpoint)
    const headers = FlatHeaders.from(options.headers)
    headers.set('host', mirrorAuthority(policy, headers.get('host') ?? this.authority))
    const handler = new MirrorHandler(mirrored, this.environment.clock, this.plan?.timeoutMs ?? 0)
    endpoint.http.get(this.#origin).dispatch({ ...options, headers: headers.list }, handler)
  }

  protected passThrough(): boolean {
    if (this.#outside === null) return false
    // Past the mesh a call has none of its times, and nobody there is told of one.
    this.disarm()
    this.requestDeadlineAt = 0
    this.phase = 'trying'
    this.attempts = 1
    this.epoch = 1
    const body = this.#body ?? this.#options.body
    const isPlain = body === this.#options.body && this.span === null
    const { origin } = this.#options
    const options = isPlain ? this.#options : attemptRequest(this, this.#options, body, null)
    this.#outside.dispatch(origin === undefined ? { ...options, origin: this.#origin } : options, this)
    return true
  }

  protected abandon(reason: Error): void {
    const controller = this.#controller
    this.#controller = null
    this.epoch = 0
    controller?.abort(reason)
  }

  protected isSentWhole(): boolean {
    return this.isWholeRequest()
  }

  protected park(): Controller | null {
    const controller = this.#controller
    this.#controller = null
    return controller
  }

  protected unpark(controller: Controller | null): void {
    this.#controller = controller
    this.#answerBegan = true
  }

  protected dropParked(controller: Controller | null, reason: Error | null): void {
    if (reason !== null) controller?.abort(reason)
  }

  #isRetriable(statusCode: number, headers: Headers): boolean {
    return this.plan?.retry?.retriesResponse(statusCode, headers) === true
  }

  protected canReplay(): boolean {
    const { upgrade, method } = this.#options
    if (typeof upgrade === 'string' || upgrade === true || method === 'CONNECT') return false
    return this.#body === null || this.#body.canReplay
  }

  protected isPaused(): boolean {
    return this.paused
  }

  protected isWholeRequest(): boolean {
    return this.#body === null || this.#requestWasSent
  }

  protected timeouts(plan: RoutePlan): RouteTimeouts {
    return plan
  }

  protected deliverError(error: Error): void {
    this.#handler.onResponseError?.(this, error)
  }

  protected deliverReply(reply: LocalReply): void {
    this.#isReplying = true
    // Never from inside `dispatch`: callers expect their answer later.
    queueMicrotask(() => this.#reply(reply))
  }

  protected release(): void {
    if (this.#mirrors !== null) for (const mirrored of this.#mirrors) mirrored.end(0)
    this.#mirrors = null
    this.#body?.close()
  }

  /**
   * Leaves no way from what is left of it, such as a body that was read, to what undici and the caller had made for it. Else one such body in
   * the old generation keeps all that came after it from the collector of the young one.
   */
  #letGo(): void {
    this.#answerHeaders = null
    this.#controller = null
    this.#handler = nobody
    // A server may have answered before it was sent all, and copies are sent then.
    if (this.#mirrors === null) this.#options = nothing
  }

  #reply({ status, headers, body }: LocalReply): void {
    if (this.aborted) return
    const answer: Headers = { ...headers }
    this.#answerHeaders = answer
    if (this.changesAnswer) mutateAnswer(this, new ObjectHeaders(answer))
    this.#handler.onResponseStart?.(this, status, answer, STATUS_CODES[status] ?? '')
    if (body !== '' && this.method !== 'HEAD' && !this.aborted) this.#handler.onResponseData?.(this, Buffer.from(body))
    if (!this.aborted) this.#handler.onResponseEnd?.(this, {})
    this.#isReplying = false
  }

  #discard(controller: Controller, headers: Headers): void {
    const { wheel, clock, maxDiscardBytes } = this.environment
    const discard = new Discard(controller, wheel, clock.now(), maxDiscardBytes)
    this.#discards ??= []
    this.#discards.push(discard)
    if (Number(headers['content-length']) > maxDiscardBytes) discard.stop()
  }

  #discardOf(controller: Controller): Discard | undefined {
    return this.#discards?.find(discard => discard.controller === controller)
  }
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}

/** A name that neither the control plane nor DNS knows is an unknown host; whatever else happened outside is told as it is. */
function outsideError(error: Error, failure: MeshError | null): Error {
  if (failure === null || !('code' in error) || (error.code !== 'ENOTFOUND' && error.code !== 'EAI_AGAIN')) return error
  const { code, flag, statusCode, message } = failure
  return new MeshError(code, `${message}, and past the mesh: ${error.message}`, { cause: error, flag, statusCode, attempts: 1 })
}

/** RFC 9110 section 9.2.2. */
function isIdempotent(method: string): boolean {
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'PUT':
    case 'DELETE':
    case 'OPTIONS':
    case 'TRACE':
      return true
    default:
      return false
  }
}
