import type { Readable } from 'node:stream'

/** The body of a request as far as it has come, held back from the application. */
export class HeldBody {
  readonly #stream: Readable
  readonly #push: Readable['push']
  readonly #chunks: Uint8Array[] = []
  #size = 0
  #isEnded = false

  private constructor(stream: Readable) {
    this.#stream = stream
    this.#push = stream.push
  }

  /**
   * Holds what comes until there is more than `maxBytes`, the body is whole, or its caller is gone. Nobody else may read from it before
   * {@link release}, and nobody need: what the protocol gives the stream is kept before it gets there, its end included.
   */
  static hold(stream: Readable, maxBytes: number): Promise<HeldBody> {
    const held = new HeldBody(stream)
    return new Promise(resolve => {
      const settle = () => {
        stream.off('close', settle)
        resolve(held)
      }
      stream.push = chunk => {
        held.#keep(chunk)
        const isEnough = held.#isEnded || held.#size > maxBytes
        if (isEnough) settle()
        return !isEnough
      }
      stream.once('close', settle)
      // Else a stream of HTTP/2 gives its caller no leave to send more than its first window.
      stream.read(0)
      if (stream.destroyed) settle()
    })
  }

  /** Of what has come. */
  get size(): number {
    return this.#size
  }

  /** The first bytes of it. */
  first(maxBytes: number): Uint8Array {
    return Buffer.concat(this.#chunks).subarray(0, maxBytes)
  }

  /** Lets the stream have it. */
  release(): void {
    const stream = this.#stream
    stream.push = this.#push
    for (const chunk of this.#chunks) stream.push(chunk)
    if (this.#isEnded) stream.push(null)
    this.#chunks.length = 0
  }

  #keep(chunk: unknown): void {
    if (chunk === null) this.#isEnded = true
    if (!(chunk instanceof Uint8Array)) return
    this.#chunks.push(chunk)
    this.#size += chunk.length
  }
}
