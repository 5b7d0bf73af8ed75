import type { EventEmitter } from 'node:events'
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { changeHeaders, type HeaderChange, isSingular } from '../policies/ext-authz/header-change.ts'
import type { RequestStream } from './request-stream.ts'

/** A request of HTTP/2. */
export class Http2RequestStream implements RequestStream {
  readonly protocol = 'HTTP/2'
  readonly #stream: ServerHttp2Stream

  readonly #expectsContinue: boolean

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders) {
    this.#stream = stream
    this.#expectsContinue = headers.expect?.toLowerCase() === '100-continue'
  }

  get body(): ServerHttp2Stream | null {
    return this.#stream.endAfterHeaders ? null : this.#stream
  }

  get caller(): EventEmitter {
    return this.#stream
  }

  sendContinue(): void {
    if (this.#expectsContinue) this.#stream.additionalHeaders({ ':status': 100 })
  }

  changeAnswer(changes: readonly HeaderChange[]): void {
    const stream = this.#stream
    const { respond } = stream
    stream.respond = (...args: Parameters<typeof respond>) => {
      stream.respond = respond
      const [headers, ...others] = args
      const pairs: readonly [string, unknown][] = Array.isArray(headers) ? pairsOf(headers) : Object.entries(headers ?? {})
      const changed = new Map(pairs.map(([name, value]) => [name.toLowerCase(), value]))
      apply(changed, changes)
      Reflect.apply(respond, stream, [Object.fromEntries(changed), ...others])
    }
  }
}

function apply(headers: Map<string, unknown>, changes: readonly HeaderChange[]): void {
  const values = (name: string) => [headers.get(name) ?? []].flat()
  changeHeaders(
    {
      has: name => headers.has(name),
      set: (name, value) => headers.set(name, value),
      append: (name, value) => headers.set(name, headers.has(name) && !isSingular(name) ? [...values(name), value] : value),
    },
    changes,
  )
}

function pairsOf(flat: readonly unknown[]): [string, unknown][] {
  const pairs: [string, unknown][] = []
  for (let at = 0; at + 1 < flat.length; at += 2) pairs.push([String(flat[at]), flat[at + 1]])
  return pairs
}
