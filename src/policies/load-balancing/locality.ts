import { EdfScheduler } from './edf-scheduler.ts'
import type { PickContext, Picker } from './picker.ts'

/** A locality to choose. */
export interface LocalityPick<H> {
  /** Its weight, less what it cannot take for want of healthy hosts; above 0. */
  readonly weight: number
  readonly picker: Picker<H>
}

/** Takes localities in turn by weight, then a host of it (`LocalityWeightedLbConfig`). */
export class LocalityPicker<H> implements Picker<H> {
  readonly #schedule: EdfScheduler<LocalityPick<H>>

  constructor(localities: readonly LocalityPick<H>[], random: number) {
    this.#schedule = new EdfScheduler(localities, ({ weight }) => weight, random)
  }

  pick(context: PickContext, attempt: number): H | null {
    return this.#schedule.next()?.picker.pick(context, attempt) ?? null
  }
}
