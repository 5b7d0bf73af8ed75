import { Readable } from 'node:stream'

/** A request body as undici takes it. */
export type RequestBody = unknown

/** A body that can be read once, by pulling. */
interface BodySource {
  next(): Promise<IteratorResult<unknown>> | IteratorResult<unknown>
  /** Tells the producer that nobody reads on. */
  cancel(): void
}

/**
 * Whether undici can send `body` again as it is: none, text, bytes, and blobs and its own forms, which it reads anew each time.
 */
export function isReplayable(body: RequestBody): boolean {
  if (body === null || body === undefined || typeof body === 'string') return true
  if (ArrayBuffer.isView(body) || body instanceof ArrayBuffer || body instanceof Blob || Array.isArray(body)) return true
  return isFormData(body)
}

/**
 * A one-shot body (stream, iterator, iterable) that can be sent again as long as all that was read of it is held.
 *
 * Each attempt iterates it anew: first what is held, then the rest of the source. Once more than `maxReplayBytes` were read, what the
 * running attempt has sent is dropped and {@link BodyReplay.canReplay} is false for ever: a later attempt would send a wrong body.
 */
export class BodyReplay implements AsyncIterable<Uint8Array> {
  readonly #source: BodySource
  readonly #maxReplayBytes: number
  /** What is held; the first has index `#firstIndex`. */
  #chunks: Uint8Array[] = []
  #firstIndex = 0
  #heldBytes = 0
  #overflowed = false
  #done = false
  #failure: { readonly error: unknown } | null = null
  #reading: Promise<Uint8Array | null> | null = null
  #reader: ReplayIterator | null = null

  /** @param maxReplayBytes bytes held at most; 0 never replays */
  constructor(body: RequestBody, maxReplayBytes: number) {
    this.#source = sourceOf(body)
    this.#maxReplayBytes = maxReplayBytes
  }

  /** Whether another attempt would send the very same bytes. */
  get canReplay(): boolean {
    return !this.#overflowed && this.#failure === null
  }

  /** All of it in one piece, once it was read to its end and is still held; else `null`. */
  whole(): Buffer | null {
    return this.#done && this.canReplay ? Buffer.concat(this.#chunks) : null
  }

  /** What the caller's body threw, if it did. */
  get failure(): { readonly error: unknown } | null {
    return this.#failure
  }

  /** Begins an attempt's reading. An attempt that read before gets nothing more. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    if (this.#reader !== null) this.#reader.isCurrent = false
    this.#reader = new ReplayIterator(this)
    return this.#reader
  }

  /** The exchange is over: lets go of what is held, and of the source unless it was read to its end. */
  close(): void {
    if (this.#reader !== null) this.#reader.isCurrent = false
    this.#chunks = []
    if (this.#done) return
    this.#done = true
    this.#source.cancel()
  }

  /** The chunk at `index`, or `null` after the last. Called by one reader at a time. */
  chunkAt(index: number): Promise<Uint8Array | null> | Uint8Array | null {
    // The running attempt may be behind what an earlier one read: over the cap, only what it has passed may go.
    while (this.#overflowed && this.#firstIndex < index && this.#chunks.length > 0) {
      this.#chunks.shift()
      this.#firstIndex++
    }
    const held = this.#chunks[index - this.#firstIndex]
    if (held !== undefined) return held
    if (this.#failure !== null) return Promise.reject(this.#failure.error)
    if (this.#done) return null
    // A read that an abandoned attempt began belongs to the next one: the source has moved on.
    this.#reading ??= this.#read()
    return this.#reading
  }

  async #read(): Promise<Uint8Array | null> {
    try {
      for (;;) {
        const result = await this.#source.next()
        if (result.done === true) {
          this.#done = true
          return null
        }
        const chunk = toBytes(result.value)
        if (chunk.byteLength === 0) continue
        this.#hold(chunk)
        return chunk
      }
    } catch (error) {
      this.#done = true
      this.#failure = { error }
      throw error
    } finally {
      this.#reading = null
    }
  }

  #hold(chunk: Uint8Array): void {
    this.#heldBytes += chunk.byteLength
    if (this.#heldBytes > this.#maxReplayBytes) this.#overflowed = true
    this.#chunks.push(chunk)
  }
}

/** One attempt's reading of a {@link BodyReplay}. */
class ReplayIterator implements AsyncIterator<Uint8Array> {
  isCurrent = true
  readonly #replay: BodyReplay
  #index = 0

  constructor(replay: BodyReplay) {
    this.#replay = replay
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    if (!this.isCurrent) return { done: true, value: undefined }
    const index = this.#index++
    try {
      const chunk = await this.#replay.chunkAt(index)
      // The attempt was given up while it waited: the next one gets the chunk from what is held.
      if (!this.isCurrent || chunk === null) return { done: true, value: undefined }
      return { done: false, value: chunk }
    } catch (error) {
      if (!this.isCurrent) return { done: true, value: undefined }
      throw error
    }
  }

  // undici returns the iterator when an attempt fails; the source must outlive the attempt.
  return(): Promise<IteratorResult<Uint8Array>> {
    this.isCurrent = false
    return Promise.resolve({ done: true, value: undefined })
  }
}

function sourceOf(body: RequestBody): BodySource {
  if (body instanceof Readable) {
    const iterator = body.iterator({ destroyOnReturn: true })
    return { next: () => iterator.next(), cancel: () => void body.destroy() }
  }
  if (isAsyncIterable(body)) return iteratorSource(body[Symbol.asyncIterator]())
  if (isIterable(body)) return iteratorSource(body[Symbol.iterator]())
  throw new TypeError('body must be a string, a Buffer, a Readable stream, an iterable, or an async iterable')
}

function iteratorSource(iterator: AsyncIterator<unknown> | Iterator<unknown>): BodySource {
  return {
    next: () => iterator.next(),
    cancel: () => {
      try {
        const returned = iterator.return?.()
        if (returned instanceof Promise) returned.catch(ignore)
      } catch {
        // The producer's own clean-up failed; the exchange is over and nobody can be told.
      }
    },
  }
}

function ignore(): void {}

function toBytes(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk
  if (typeof chunk === 'string') return Buffer.from(chunk)
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk)
  throw new TypeError(`a body chunk must be a string or bytes, got ${typeof chunk}`)
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value
}

/** Any copy's `FormData`. */
export function isFormData(value: unknown): value is FormData {
  return (
    typeof value === 'object' &&
    value !== null &&
    Symbol.toStringTag in value &&
    value[Symbol.toStringTag] === 'FormData' &&
    'getAll' in value
  )
}
