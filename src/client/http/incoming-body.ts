import type { ReadableByteStreamController } from 'node:stream/web'
import { type BodyForm, type BodyForms, formOf } from './body-bytes.ts'
import { giveBack, isSlab } from './socket-reader.ts'

/** Where a body comes from: what holds back, releases or ends its flow. */
export interface BodySource {
  pause(): void
  resume(): void
  /** The reader wants no more: stop the transfer. */
  abandon(reason: unknown): void
  /** The buffer in which the head of this answer was received, when nothing of another answer comes before it there; else `null`. */
  headBuffer(): ArrayBufferLike | null
  /** The body is over for its reader, by its end, a failure or a cancel. */
  settled(): void
}

/** Bytes held for a reader that has not come yet before the source is paused. */
export const unreadLimitBytes = 64 * 1024

type Settle = (value: never) => void

/**
 * The body of a response while it arrives: held until the response is asked for it, then gathered whole or passed on as a stream.
 * No stream is made unless somebody asks for one.
 */
export class IncomingBody {
  readonly #source: BodySource
  #chunks: Buffer[] = []
  #size = 0
  #isPaused = false
  #state: 'open' | 'ended' | 'failed' | 'settled' = 'open'
  #error: unknown = undefined
  #form: BodyForm | null = null
  #resolve: Settle | null = null
  #reject: ((error: unknown) => void) | null = null
  #controller: ReadableByteStreamController | null = null
  /** Whether the stream's reader waits for bytes. */
  #isWanted = false

  constructor(source: BodySource) {
    this.#source = source
  }

  /** The next bytes. They may be a view of a shared buffer. */
  push(chunk: Buffer): void {
    // undici's parser, resumed with nothing to parse, tells of no bytes.
    if (this.#state !== 'open' || chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#size += chunk.length
    if (this.#isWanted) {
      // Not at once: the stream takes the chunk's memory away, and the parser that calls may still look at it.
      if (this.#chunks.length === 1) queueMicrotask(() => this.#deliverWanted())
    } else if (this.#form === null && this.#size >= unreadLimitBytes && !this.#isPaused) {
      this.#isPaused = true
      this.#source.pause()
    }
  }

  /** All bytes have come. */
  end(): void {
    if (this.#state !== 'open') return
    this.#state = 'ended'
    if (this.#form !== null) this.#deliver(this.#form)
    else if (this.#isWanted && this.#chunks.length === 0) this.#closeStream()
  }

  /** The body breaks off: whoever reads it, now or later, gets `error`. What was not read is dropped. */
  fail(error: unknown): void {
    if (this.#state === 'failed' || this.#state === 'settled') return
    this.#state = 'failed'
    this.#error = error
    this.#chunks = []
    this.#controller?.error(error)
    this.#reject?.(error)
    this.#source.settled()
  }

  /** The whole body. To be called once, and not after {@link IncomingBody.stream}. */
  whole<F extends BodyForm>(form: F): Promise<BodyForms[F]> {
    if (this.#state === 'failed') return Promise.reject(this.#error)
    this.#form = form
    return new Promise((resolve, reject) => {
      this.#resolve = resolve as Settle
      this.#reject = reject
      if (this.#state === 'ended') this.#deliver(form)
      else this.#flow()
    })
  }

  /** The body as a byte stream, with back-pressure; cancelling it ends the transfer. To be called once. */
  stream(): ReadableStream<Uint8Array> {
    return new ReadableStream({
      type: 'bytes',
      start: controller => {
        this.#controller = controller
        if (this.#state === 'failed') controller.error(this.#error)
      },
      pull: () => this.#pull(),
      cancel: reason => this.#cancel(reason),
    })
  }

  /** The response is gone: the transfer ends unless somebody reads. */
  forget(): void {
    if (this.#form === null && this.#controller === null) this.#cancel(undefined)
  }

  #pull(): void {
    this.#isWanted = true
    if (this.#chunks.length > 0) this.#deliverWanted()
    else if (this.#state === 'ended') this.#closeStream()
    else this.#flow()
  }

  #deliverWanted(): void {
    const chunk = this.#isWanted ? this.#chunks.shift() : undefined
    if (chunk === undefined) return
    // Before the stream has it: it may pull again at once.
    this.#isWanted = false
    this.#size -= chunk.length
    if (this.#chunks.length === 0) this.#flow()
    this.#controller?.enqueue(this.#owned(chunk))
  }

  /**
   * The chunk in memory that a byte stream may take away. That is the buffer the socket filled, not a copy, where nobody else can
   * need it: the chunk fills it, or follows the head of the answer (decoded by now) to the end. It must also be the larger part, as
   * slices of Node's buffer pool never are.
   */
  #owned(chunk: Buffer): Uint8Array<ArrayBuffer> {
    const { buffer, byteOffset, byteLength } = chunk
    const head = this.#source.headBuffer()
    if (isSlab(buffer)) {
      const copy = new Uint8Array(chunk)
      giveBack([chunk], head)
      return copy
    }
    if (buffer instanceof ArrayBuffer && byteOffset + byteLength === buffer.byteLength) {
      const isAlone = byteOffset === 0 || (byteLength > buffer.byteLength / 2 && buffer === head)
      if (isAlone) return new Uint8Array(buffer, byteOffset, byteLength)
    }
    return new Uint8Array(chunk)
  }

  #cancel(reason: unknown): void {
    this.#chunks = []
    if (this.#state === 'open') this.#source.abandon(reason)
    this.#settle()
  }

  #closeStream(): void {
    this.#settle()
    this.#controller?.close()
    // A reader that brought its own buffer is answered only by this.
    this.#controller?.byobRequest?.respond(0)
  }

  #deliver(form: BodyForm): void {
    const chunks = this.#chunks
    this.#chunks = []
    this.#settle()
    try {
      this.#resolve?.(formOf(form, chunks, this.#size) as never)
      giveBack(chunks, this.#source.headBuffer())
    } catch (error) {
      this.#reject?.(error)
    }
  }

  #settle(): void {
    if (this.#state === 'settled') return
    this.#state = 'settled'
    this.#source.settled()
  }

  #flow(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#source.resume()
  }
}
