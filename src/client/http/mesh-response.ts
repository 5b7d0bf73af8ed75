import { Readable } from 'node:stream'
import { formatWithOptions, type InspectOptions, inspect } from 'node:util'
import { markAsUncloneable } from 'node:worker_threads'
import { type BodyForm, type BodyForms, formOf } from './body-bytes.ts'
import type { IncomingBody } from './incoming-body.ts'
import { type IncomingHeaders, MeshHeaders } from './mesh-headers.ts'

type BodyStream = ReadableStream<Uint8Array>

/**
 * The answer to a fetch: every member of `Response`, each made when it is first asked for. Passes `instanceof Response`.
 *
 * The body is either still an {@link IncomingBody}, or a stream once somebody asked for one; `null` where the answer has none.
 */
export class MeshResponse implements Response {
  readonly #status: number
  readonly #statusText: string
  readonly #incomingHeaders: IncomingHeaders
  readonly #href: string
  readonly #redirected: boolean
  readonly #type: 'basic' | 'cors'
  readonly #body: IncomingBody | null
  #headers: MeshHeaders | null = null
  #stream: BodyStream | null = null
  #isRead = false

  constructor(
    status: number,
    statusText: string,
    headers: IncomingHeaders,
    href: string,
    redirected: boolean,
    type: 'basic' | 'cors',
    body: IncomingBody | null,
  ) {
    this.#status = status
    this.#statusText = statusText
    this.#incomingHeaders = headers
    this.#href = href
    this.#redirected = redirected
    this.#type = type
    this.#body = body
    markAsUncloneable(this)
  }

  get type(): 'basic' | 'cors' {
    return this.#type
  }

  get url(): string {
    const hash = this.#href.indexOf('#')
    return hash < 0 ? this.#href : this.#href.slice(0, hash)
  }

  get redirected(): boolean {
    return this.#redirected
  }

  get status(): number {
    return this.#status
  }

  get ok(): boolean {
    return this.#status >= 200 && this.#status <= 299
  }

  get statusText(): string {
    return this.#statusText
  }

  get headers(): Headers {
    this.#headers ??= new MeshHeaders(this.#incomingHeaders)
    return this.#headers
  }

  get body(): BodyStream | null {
    if (this.#stream === null && this.#body !== null) this.#stream = this.#isRead ? spentStream() : this.#body.stream()
    return this.#stream
  }

  get bodyUsed(): boolean {
    return this.#isRead || (this.#stream !== null && isDisturbed(this.#stream))
  }

  text(): Promise<string> {
    return this.#read('text')
  }

  json(): Promise<unknown> {
    return this.#read('json')
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return this.#read('arrayBuffer')
  }

  bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#read('bytes')
  }

  async blob(): Promise<Blob> {
    return this.#typed(await this.#read('arrayBuffer')).blob()
  }

  async formData(): Promise<FormData> {
    return this.#typed(await this.#read('arrayBuffer')).formData()
  }

  clone(): Response {
    if (this.#isUnusable()) throw new TypeError('Response.clone: Body has already been consumed.')
    const copy = new MeshResponse(
      this.#status,
      this.#statusText,
      this.#incomingHeaders,
      this.#href,
      this.#redirected,
      this.#type,
      this.#body,
    )
    const stream = this.body
    if (stream !== null) [this.#stream, copy.#stream] = stream.tee()
    return copy
  }

  [inspect.custom](_depth: number, options: InspectOptions): string {
    options.depth ??= 2
    options.colors ??= true
    const { status, statusText, headers, body, bodyUsed, ok, redirected, type, url } = this
    const members = { status, statusText, headers, body, bodyUsed, ok, redirected, type, url }
    return `Response ${formatWithOptions(options, members)}`
  }

  #read<F extends BodyForm>(form: F): Promise<BodyForms[F]>
  #read(form: BodyForm): Promise<BodyForms[BodyForm]> {
    if (this.#stream === null && !this.#isRead && this.#body !== null) {
      this.#isRead = true
      return this.#body.whole(form)
    }
    if (this.#isUnusable()) return Promise.reject(new TypeError('Body is unusable: Body has already been read'))
    if (this.#stream !== null) return new Response(this.#stream)[form]()
    try {
      return Promise.resolve(formOf(form, [], 0))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #isUnusable(): boolean {
    return this.#isRead || (this.#stream !== null && (this.#stream.locked || isDisturbed(this.#stream)))
  }

  /** The forms that depend on the content type are Node's to make. */
  #typed(bytes: ArrayBuffer): Response {
    const type = this.headers.get('content-type')
    return new Response(bytes, type === null ? undefined : { headers: new Headers({ 'content-type': type }) })
  }
}

function isDisturbed(stream: ReadableStream): boolean {
  return Readable.isDisturbed(stream as never)
}

/** What is left of a body that was read as a whole: a stream closed, locked and disturbed. */
function spentStream(): BodyStream {
  const stream: BodyStream = new ReadableStream({ type: 'bytes', start: controller => controller.close() })
  void stream.getReader().read()
  return stream
}
