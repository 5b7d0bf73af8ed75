import type { PickContext, Picker } from './picker.ts'

/** Picks with what there is until what it needs has been loaded, and then builds the real picker, once. */
export class DeferredPicker<H> implements Picker<H> {
  readonly #isReady: () => boolean
  readonly #build: () => Picker<H>
  #picker: Picker<H>
  #isBuilt = false

  constructor(meanwhile: Picker<H>, isReady: () => boolean, build: () => Picker<H>) {
    this.#picker = meanwhile
    this.#isReady = isReady
    this.#build = build
  }

  pick(context: PickContext, attempt: number): H | null {
    if (!this.#isBuilt && this.#isReady()) {
      this.#picker = this.#build()
      this.#isBuilt = true
    }
    return this.#picker.pick(context, attempt)
  }
}
