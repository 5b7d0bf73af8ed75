import type { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Server as HttpServer } from '../node-http.ts'
import { parseExpectedTimeoutMs } from '../policies/timeout.ts'
import type { MeshTelemetry } from '../telemetry/create-telemetry.ts'
import type { InboundExchange } from '../telemetry/inbound-exchange.ts'
import type { InboundRequest } from '../telemetry/inbound-request.ts'
import { bindEvents, type EventBinding } from './bound-events.ts'
import type { Denial } from './denial.ts'
import { admit } from './http-admission.ts'
import { connectionOf, type InboundConnection, sourceOf } from './inbound-connection.ts'
import type { RequestGate } from './request-gate.ts'

/** Serves requests inside their trace and deadline, and counts them. */
export class Inbound {
  readonly telemetry: MeshTelemetry
  readonly #gate: RequestGate | null
  readonly #active = new ActiveRequests()
  #isDraining = false

  /** @param gate judges the requests of connections that came by a listener */
  constructor(telemetry: MeshTelemetry, gate: RequestGate | null = null) {
    this.telemetry = telemetry
    this.#gate = gate
  }

  /** From now on every HTTP/1 answer asks for its connection to be closed, those to requests that are in flight included. */
  drain(): void {
    this.#isDraining = true
    for (const served of this.#active.list) served.closeConnection()
  }

  /**
   * Runs `handle` on behalf of a request, if the listener of its server lets it in. When it throws, or its promise rejects, the caller gets 500, or a broken answer if one had begun.
   * A request that is being served already is left to whoever serves it.
   *
   * @param onError where an error of `handle` goes beside the caller's answer: default nowhere
   */
  serve(request: IncomingMessage, response: ServerResponse, handle: () => unknown, onError?: (error: unknown) => void): void {
    const marks: Marks = request
    const others = marks[servedBy]
    if (others?.includes(this)) {
      handle()
      return
    }
    marks[servedBy] = others === undefined ? [this] : [...others, this]
    const connection = connectionOf(request.socket)
    const verdict = this.#gate === null ? null : admit(this.#gate, request, response, connection)
    const exchange = this.telemetry.receive(describe(request, connection), expectedMs(request.headers), isInstrumented())
    const served = new ServedRequest(exchange, request, response, connection ?? null, this.#active, onError)
    // Node reads nothing more from a connection on which an upgrade was asked for and not made.
    if (this.#isDraining || request.headers.upgrade !== undefined) served.closeConnection()
    if (verdict === null) served.run(handle)
    else if (verdict instanceof Promise)
      void verdict.then(denial => {
        if (denial !== null) served.deny(denial)
        else if (!response.destroyed) served.run(handle)
      })
    else served.deny(verdict)
  }
}

/** On a request: who serves it. Each mesh of a process judges it by its own gate. */
const servedBy = Symbol('inmesh.served-by')

interface Marks extends IncomingMessage {
  [servedBy]?: readonly Inbound[]
}

/**
 * The requests in flight. Not a `Set`: each table that it has grown out of leads to the next one, and so one that got into the old generation
 * keeps all requests after it from the collector of the young one.
 */
class ActiveRequests {
  readonly list: ServedRequest[] = []

  add(served: ServedRequest): void {
    served.place = this.list.length
    this.list.push(served)
  }

  delete({ place }: ServedRequest): void {
    const last = this.list.pop()
    if (last === undefined || last.place === place) return
    last.place = place
    this.list[place] = last
  }
}

/** A request and its answer, from the verdict on. */
class ServedRequest implements EventBinding {
  readonly exchange: InboundExchange
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #connection: InboundConnection | null
  readonly #bytesBefore: number
  readonly #active: ActiveRequests
  readonly #onError: ((error: unknown) => void) | undefined
  /** In the list of those in flight. */
  place: number
  #error: Error | null
  #closesConnection: boolean
  #isFinished: boolean

  constructor(
    exchange: InboundExchange,
    request: IncomingMessage,
    response: ServerResponse,
    connection: InboundConnection | null,
    active: ActiveRequests,
    onError: ((error: unknown) => void) | undefined,
  ) {
    this.exchange = exchange
    this.#connection = connection
    this.#request = request
    this.#response = response
    this.#bytesBefore = request.socket.bytesWritten
    this.#active = active
    this.#onError = onError
    this.place = 0
    this.#error = null
    this.#closesConnection = false
    this.#isFinished = false
    connection?.begin()
    active.add(this)
    bindEvents(request, this)
    bindEvents(response, this)
    if (connection?.isDraining === true) this.closeConnection()
  }

  /** After the answer is complete, and when its connection is gone: always. */
  closed(emitter: EventEmitter): void {
    if (emitter === this.#response) this.#finish()
  }

  /** Runs the application for it. */
  run(handle: () => unknown): void {
    try {
      const result = this.exchange.run(handle)
      if (isThenable(result)) result.then(undefined, error => this.#fail(error))
    } catch (error) {
      this.#fail(error)
    }
  }

  /** The connection is not to be used again after this answer, whose headers say so if they have not been sent. */
  closeConnection(): void {
    if (this.#request.httpVersionMajor !== 1) return
    this.#closesConnection = true
    if (!this.#response.headersSent) this.#response.setHeader('connection', 'close')
  }

  /** Answers in the place of the application. */
  deny({ statusCode, message, headers, body = Buffer.from(message), closes }: Denial): void {
    const response = this.#response
    if (closes === true) this.closeConnection()
    response.writeHead(statusCode, {
      ...(body.length === 0 ? undefined : { 'content-type': 'text/plain' }),
      // There is no length where there can be no body (RFC 9110, section 8.6).
      ...(statusCode === 204 ? undefined : { 'content-length': body.length }),
      ...headers,
    })
    response.end(body)
    // What is left of the body is not read into memory, and the connection stays usable.
    this.#request.resume()
  }

  #fail(error: unknown): void {
    this.#break(error instanceof Error ? error : new Error(String(error)))
    this.#onError?.(error)
  }

  #break(error: Error): void {
    this.#error = error
    const response = this.#response
    if (response.headersSent) {
      response.destroy()
      return
    }
    for (const name of response.getHeaderNames()) if (name !== 'connection') response.removeHeader(name)
    response.statusCode = 500
    response.end()
  }

  #finish(): void {
    if (this.#isFinished) return
    this.#isFinished = true
    const request = this.#request
    const response = this.#response
    this.#active.delete(this)
    this.#connection?.end()
    if (this.#closesConnection || this.#connection?.isDraining === true) request.socket.end()
    this.exchange.finish({
      statusCode: response.headersSent ? response.statusCode : 0,
      grpcStatus: -1,
      route: frameworkRoute(request),
      requestBytes: Number(request.headers['content-length'] ?? 0) || 0,
      responseBytes: this.#responseBytes(),
      wasAborted: !response.writableFinished,
      error: this.#error,
    })
  }

  /** Of the body where its length was declared, else all that was written meanwhile. */
  #responseBytes(): number {
    const declared = Number(this.#response.getHeader('content-length') ?? Number.NaN)
    if (this.#request.method === 'HEAD') return 0
    return declared >= 0 ? declared : Math.max(0, this.#request.socket.bytesWritten - this.#bytesBefore)
  }
}

/** What Envoy tells an upstream of the time its caller still has; 0: nothing. */
function expectedMs(headers: IncomingMessage['headers']): number {
  const value = headers['x-envoy-expected-rq-timeout-ms']
  return typeof value === 'string' ? (parseExpectedTimeoutMs(value) ?? 0) : 0
}

function describe(request: IncomingMessage, connection: InboundConnection | undefined): InboundRequest {
  const { method = 'GET', url = '/', headers, httpVersion, socket } = request
  const { sourcePrincipal, security } = sourceOf(connection, socket)
  return {
    isGrpc: false,
    method,
    scheme: security === 'none' ? 'http' : 'https',
    authority: headers.host ?? '',
    path: url,
    protocolVersion: httpVersion === '2.0' ? '2' : httpVersion,
    headers,
    peerAddress: connection?.facts.sourceAddress ?? socket.remoteAddress ?? '',
    peerPort: connection?.facts.sourcePort ?? socket.remotePort ?? 0,
    sourcePrincipal,
    security,
  }
}

/** Pattern of the route as Express and its relatives leave it on the request. */
function frameworkRoute(request: IncomingMessage): string {
  if (!('route' in request)) return ''
  const { route } = request
  if (typeof route !== 'object' || route === null || !('path' in route) || typeof route.path !== 'string') return ''
  const base = 'baseUrl' in request && typeof request.baseUrl === 'string' ? request.baseUrl : ''
  return base + route.path
}

/**
 * Whether OpenTelemetry's own instrumentation of `node:http` is in force, in whatever order the two were loaded: it wraps
 * `Server.prototype.emit`, and marks what it has wrapped.
 */
function isInstrumented(): boolean {
  let emit: unknown = HttpServer.prototype.emit
  for (let depth = 0; depth < 5 && typeof emit === 'function'; depth++) {
    if ('__wrapped' in emit && emit.__wrapped === true) return true
    emit = wrappedEmits.get(emit)
  }
  return false
}

/** What each `emit` of ours was put in the place of. */
export const wrappedEmits = new WeakMap<object, unknown>()

/** An application that was never changed ends by an error that it does not catch, as it would without the mesh. */
export function rethrow(error: unknown): void {
  process.nextTick(() => {
    throw error
  })
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}
