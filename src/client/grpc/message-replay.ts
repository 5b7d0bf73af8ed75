/** What grpc-js's clients pass with a message. The types of it are not public. */
export interface MessageContext {
  callback?: (error?: Error | null) => void
  flags?: number
}

/** A message of a call, on its way out. */
export interface OutgoingMessage {
  readonly message: Buffer
  readonly flags: number | undefined
  /** Lets the writer go on; called once. */
  callback: MessageContext['callback'] | undefined
}

/**
 * The messages of a call, kept so that they can be sent again: all of them while they are under the cap and the call is not committed, and
 * after that those that are not on a connection yet.
 */
export class MessageReplay {
  readonly #maxBytes: number
  #messages: OutgoingMessage[] = []
  #next = 0
  /** How many of those before the next one are on a connection. */
  #sent = 0
  #bytes = 0
  /** Under the cap, and not committed. */
  #isKept = true
  #isWhole = true

  /** @param maxBytes held for another attempt */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Every message is still there, and will be. */
  get canReplay(): boolean {
    return this.#isKept && this.#isWhole
  }

  /** Every message is still there, be it that none has found a connection yet. */
  get isWhole(): boolean {
    return this.#isWhole
  }

  /** All of them, or `null` when some are gone. */
  whole(): readonly Buffer[] | null {
    return this.canReplay ? this.#messages.map(({ message }) => message) : null
  }

  get hasNext(): boolean {
    return this.#next < this.#messages.length
  }

  push(message: Buffer, { flags, callback }: MessageContext): void {
    this.#messages.push({ message, flags, callback })
    this.#bytes += message.length
    if (this.#isKept && this.#bytes > this.#maxBytes) this.release()
  }

  /** The next one to send. */
  next(): OutgoingMessage | undefined {
    const message = this.#messages[this.#next]
    if (message !== undefined) this.#next++
    return message
  }

  /** The first of those that {@link next} gave is on a connection. */
  sent(): void {
    this.#sent++
    if (!this.#isKept) this.#drop()
  }

  /** Another attempt begins with the first message. */
  rewind(): void {
    this.#next = 0
    this.#sent = 0
  }

  /** The attempt that goes on has all of them. */
  skip(): void {
    this.#next = this.#messages.length
    this.#sent = this.#next
  }

  /** There will be no other attempt: what is on a connection is let go of. */
  release(): void {
    if (!this.#isKept) return
    this.#isKept = false
    this.#drop()
  }

  #drop(): void {
    if (this.#sent === 0) return
    this.#isWhole = false
    this.#messages.splice(0, this.#sent)
    this.#next -= this.#sent
    this.#sent = 0
  }

  /** The call is over: whoever waits to write goes on. */
  close(): void {
    const waiting = this.#messages
    this.#messages = []
    this.#next = 0
    this.#sent = 0
    this.#isKept = false
    this.#isWhole = false
    for (const each of waiting) settle(each)
  }
}

/** Lets the writer of a message go on, if it waits. */
export function settle(outgoing: OutgoingMessage): void {
  const { callback } = outgoing
  outgoing.callback = undefined
  if (callback !== undefined) process.nextTick(callback)
}
