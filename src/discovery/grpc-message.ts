/** Five bytes come before each message: whether it is compressed, and its length (gRPC over HTTP/2, "Length-Prefixed-Message"). */
const prefixBytes = 5

/** A message as it goes on the wire, uncompressed. */
export function frameMessage(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(prefixBytes + message.length)
  frame.writeUInt8(0, 0)
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, prefixBytes)
  return frame
}

/** Puts the messages of a stream together from the chunks in which they come. */
export class MessageReader {
  readonly #maxBytes: number
  readonly #prefix = Buffer.alloc(prefixBytes)
  #prefixFilled = 0
  #message: Buffer | null = null
  #filled = 0

  /** @param maxBytes of one message */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Whether the stream may end here. */
  get isBetweenMessages(): boolean {
    return this.#message === null && this.#prefixFilled === 0
  }

  /**
   * The messages that a chunk completes. A message does not share memory with the chunk.
   *
   * @throws Error for a message that is compressed or too large
   */
  *read(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    let at = 0
    while (at < chunk.length || this.#message?.length === 0) {
      if (this.#message === null) {
        const taken = Math.min(prefixBytes - this.#prefixFilled, chunk.length - at)
        this.#prefix.set(chunk.subarray(at, at + taken), this.#prefixFilled)
        this.#prefixFilled += taken
        at += taken
        if (this.#prefixFilled === prefixBytes) this.#begin()
        continue
      }
      const taken = Math.min(this.#message.length - this.#filled, chunk.length - at)
      this.#message.set(chunk.subarray(at, at + taken), this.#filled)
      this.#filled += taken
      at += taken
      if (this.#filled < this.#message.length) continue
      const message = this.#message
      this.#message = null
      yield message
    }
  }

  #begin(): void {
    const length = this.#prefix.readUInt32BE(1)
    if (this.#prefix.readUInt8(0) !== 0) throw new Error('a compressed message, which was not asked for')
    if (length > this.#maxBytes) throw new Error(`a message of ${length} bytes, more than ${this.#maxBytes}`)
    this.#message = Buffer.allocUnsafeSlow(length)
    this.#filled = 0
    this.#prefixFilled = 0
  }
}
