import { Readable } from 'node:stream'

/** A request body as it goes to the dispatcher. */
export type EncodedBody = string | Uint8Array | Blob | ReadableStream<unknown> | AsyncIterable<Uint8Array> | null

/**
 * Extracts a `BodyInit` (Fetch, "extract a body"): bytes are copied, so that what the caller writes later is not sent.
 *
 * @returns `undefined` for what Node's own fetch must encode or refuse: forms, shared or resizable memory, used streams
 */
export function encodeBody(init: unknown): EncodedBody | undefined {
  if (init === null || init === undefined) return null
  if (typeof init === 'string') return init
  if (typeof init !== 'object') return undefined
  if (ArrayBuffer.isView(init)) {
    const { buffer } = init
    if (!(buffer instanceof ArrayBuffer) || buffer.resizable) return undefined
    return Buffer.from(new Uint8Array(buffer, init.byteOffset, init.byteLength))
  }
  if (init instanceof ArrayBuffer) return init.resizable ? undefined : Buffer.from(new Uint8Array(init))
  if (init instanceof URLSearchParams) return init.toString()
  if (init instanceof Blob) return init
  if (init instanceof ReadableStream) return isUsable(init) ? init : undefined
  if (init instanceof FormData) return undefined
  if (Symbol.asyncIterator in init && isUsable(init)) return bytesOf(init as AsyncIterable<unknown>)
  return undefined
}

/** The `Content-Type` that a `BodyInit` brings with it; `null` for none. */
export function contentTypeOf(init: unknown): string | null {
  if (typeof init === 'string') return 'text/plain;charset=UTF-8'
  if (init instanceof URLSearchParams) return 'application/x-www-form-urlencoded;charset=UTF-8'
  if (init instanceof Blob && init.type !== '') return init.type
  return null
}

/** Whether a body can be read only once: such a one cannot follow a redirect that keeps the method. */
export function isOneShot(body: EncodedBody): boolean {
  return body !== null && typeof body === 'object' && !ArrayBuffer.isView(body) && !(body instanceof Blob)
}

function isUsable(body: object): boolean {
  return !Readable.isDisturbed(body as Readable) && !('locked' in body && body.locked === true)
}

async function* bytesOf(source: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    const bytes = chunk instanceof Uint8Array ? chunk : Buffer.from(chunk as string)
    if (bytes.byteLength > 0) yield bytes
  }
}
