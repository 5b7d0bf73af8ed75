import type { LoadCount } from './load-report.ts'

/** Adds up a count that comes in reports. */
export class LoadCounter {
  #total = 0
  #perSecond = 0

  /** @param seconds in which it grew; 0: not known */
  add(amount: bigint, seconds: number): void {
    this.#total += Number(amount)
    this.#perSecond = seconds > 0 ? Number(amount) / seconds : 0
  }

  /** It does not grow any more. */
  rest(): void {
    this.#perSecond = 0
  }

  get count(): LoadCount {
    return { total: this.#total, perSecond: this.#perSecond }
  }
}
