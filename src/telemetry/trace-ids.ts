import type { Random } from '../runtime.ts'

/** Small enough to stay in the processor's cache. */
const hex: readonly string[] = Array.from({ length: 256 }, (_, value) => value.toString(16).padStart(2, '0'))

/**
 * Makes the ids of traces and spans, here and, as its `IdGenerator`, in the SDK. The left half of a trace id is drawn once a process, the
 * right half for each trace: W3C Trace Context Level 2 section 4.1 asks for the rightmost 7 bytes to be random.
 */
export class TraceIds {
  readonly #random: Random
  readonly #left: string
  readonly #leftWords: number
  readonly #unsampledEnd: string
  #third: number
  #fourth: number
  #forced: string

  constructor(random: Random) {
    this.#random = random
    // Never zero, so that no id ever is.
    const [first, second] = [this.#word() | 1, this.#word()]
    this.#left = write(first) + write(second)
    this.#leftWords = first ^ second
    this.#unsampledEnd = `-${this.generateSpanId()}-00`
    this.#third = 0
    this.#fourth = 0
    this.#forced = ''
  }

  /**
   * Draws the next trace id without writing it out.
   *
   * @returns its four 32-bit words, each crossed with the others: what samplers by ratio look at
   */
  draw(): number {
    this.#third = this.#word()
    this.#fourth = this.#word()
    return (this.#leftWords ^ this.#third ^ this.#fourth) >>> 0
  }

  /** The id that was drawn last: 32 lower-case hexadecimal digits. */
  drawn(): string {
    return this.#left + write(this.#third) + write(this.#fourth)
  }

  /** The `traceparent` of the id that was drawn last, not sampled: its span is nowhere recorded and the same for all. */
  unsampledTraceparent(): string {
    return `00-${this.#left}${write(this.#third)}${write(this.#fourth)}${this.#unsampledEnd}`
  }

  /** A trace id; the one given to {@link force}, once, if there is one. */
  generateTraceId(): string {
    const forced = this.#forced
    if (forced === '') {
      this.draw()
      return this.drawn()
    }
    this.#forced = ''
    return forced
  }

  /** 16 lower-case hexadecimal digits, not all zero. */
  generateSpanId(): string {
    return write(this.#word() | 1) + write(this.#word())
  }

  /** Makes the next {@link generateTraceId} return `traceId`; empty takes it back. */
  force(traceId: string): void {
    this.#forced = traceId
  }

  #word(): number {
    return (this.#random() * 4_294_967_296) | 0
  }
}

function write(word: number): string {
  return `${hex[word >>> 24]}${hex[(word >>> 16) & 255]}${hex[(word >>> 8) & 255]}${hex[word & 255]}`
}
