import type { Dispatcher } from 'undici'
import type { HttpCheck, HttpCheckAnswer } from '../../policies/ext-authz/http-check.ts'
import type { ExchangeEnvironment } from '../exchange-record.ts'
import type { Target } from '../target.ts'
import { HttpExchange } from './http-exchange.ts'
import { toDispatchHandler } from './legacy-handler.ts'
import { BaseDispatcher } from './undici.ts'

/** Longer answers are no answers. */
const maxAnswerBytes = 1024 * 1024

/** Sends requests of any host to one target. */
export class ClusterDispatcher extends BaseDispatcher {
  readonly #environment: ExchangeEnvironment
  readonly #target: Target
  readonly #origin: string

  constructor(environment: ExchangeEnvironment, target: Target) {
    super()
    this.#environment = environment
    this.#target = target
    // Connections belong to it; the name of a cluster need not be one of a host.
    this.#origin = `http://${target.authority.replaceAll(/[^A-Za-z0-9.-]+/g, '_')}`
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const { authority } = this.#target
    const current = toDispatchHandler(handler)
    new HttpExchange(this.#environment, this.#target, this.#origin, 'http', authority, options, current, null).begin()
    return true
  }

  /** @throws when there is no answer, or `signal` ends it */
  async ask({ method, path, host, headers, body }: HttpCheck, signal: AbortSignal): Promise<HttpCheckAnswer> {
    const response = await this.request({
      origin: this.#origin,
      method: method as Dispatcher.HttpMethod,
      path,
      headers: ['host', host, ...headers],
      body: body ?? null,
      signal,
    })
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of response.body) {
      size += chunk.length
      if (size > maxAnswerBytes) throw new Error(`it answered more than ${maxAnswerBytes} bytes`)
      chunks.push(chunk)
    }
    const flat = Object.entries(response.headers).flatMap(([name, value]) => [value ?? []].flat().flatMap(each => [name, each]))
    return { status: response.statusCode, headers: flat, body: Buffer.concat(chunks) }
  }
}
