import type { Random } from '../runtime.ts'

const hex: readonly string[] = Array.from({ length: 65_536 }, (_, value) => value.toString(16).padStart(4, '0'))

/** Makes the ids of traces and spans, here and, as its `IdGenerator`, in the SDK. */
export class TraceIds {
  readonly #random: Random
  #forced: string

  constructor(random: Random) {
    this.#random = random
    this.#forced = ''
  }

  /** 32 lower-case hexadecimal digits, not all zero; the one given to {@link force}, once, if there is one. */
  generateTraceId(): string {
    const forced = this.#forced
    if (forced === '') return this.generateSpanId() + this.generateSpanId()
    this.#forced = ''
    return forced
  }

  /** 16 lower-case hexadecimal digits, not all zero. */
  generateSpanId(): string {
    // The first word is never zero, so that the id never is.
    return this.#word(1) + this.#word(0) + this.#word(0) + this.#word(0)
  }

  /** Makes the next {@link generateTraceId} return `traceId`; empty takes it back. */
  force(traceId: string): void {
    this.#forced = traceId
  }

  #word(least: number): string {
    return hex[least + Math.floor(this.#random() * (65_536 - least))] ?? '0001'
  }
}
