import type { EventEmitter } from 'node:events'
import type { IncomingMessage, OutgoingHttpHeader, ServerResponse } from 'node:http'
import { changeHeaders, type HeaderChange, isSingular } from '../policies/ext-authz/header-change.ts'
import type { RequestStream } from './request-stream.ts'

/** A request of HTTP/1. */
export class HttpRequestStream implements RequestStream {
  readonly #request: IncomingMessage
  readonly #response: ServerResponse

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#request = request
    this.#response = response
  }

  get protocol(): string {
    return `HTTP/${this.#request.httpVersion}`
  }

  get body(): IncomingMessage | null {
    const { headers } = this.#request
    if (headers.upgrade !== undefined) return null
    return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0 ? this.#request : null
  }

  get caller(): EventEmitter {
    return this.#request.socket
  }

  sendContinue(): void {
    const response = this.#response
    if (this.#request.headers.expect?.toLowerCase() !== '100-continue') return
    response.writeContinue()
    // Whoever serves the request does so too, once it is let in.
    response.writeContinue = () => {}
  }

  changeAnswer(changes: readonly HeaderChange[]): void {
    const response = this.#response
    const { writeHead } = response
    const changed = (...args: readonly unknown[]): ServerResponse => {
      response.writeHead = writeHead
      const [statusCode, reason] = args
      setAll(response, typeof reason === 'string' ? args[2] : reason)
      changeHeaders(
        {
          has: name => response.hasHeader(name),
          set: (name, value) => void response.setHeader(name, value),
          append: (name, value) => void (isSingular(name) ? response.setHeader(name, value) : response.appendHeader(name, value)),
        },
        changes,
      )
      return Reflect.apply(writeHead, response, typeof reason === 'string' ? [statusCode, reason] : [statusCode])
    }
    response.writeHead = changed
  }
}

/** Headers as `writeHead` takes them: an object, or names and values in turn. */
function setAll(response: ServerResponse, headers: unknown): void {
  if (typeof headers !== 'object' || headers === null) return
  if (!Array.isArray(headers)) {
    for (const [name, value] of Object.entries(headers)) if (isHeader(value)) response.setHeader(name, value)
    return
  }
  const flat: readonly unknown[] = headers.flat()
  const seen = new Set<string>()
  for (let at = 0; at + 1 < flat.length; at += 2) {
    const [name, value] = [String(flat[at]), String(flat[at + 1])]
    if (seen.has(name.toLowerCase())) response.appendHeader(name, value)
    else response.setHeader(name, value)
    seen.add(name.toLowerCase())
  }
}

function isHeader(value: unknown): value is OutgoingHttpHeader {
  return typeof value === 'string' || typeof value === 'number' || Array.isArray(value)
}
