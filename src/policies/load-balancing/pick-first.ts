import type { Random } from '../../runtime.ts'
import type { Picker } from './picker.ts'

/** Always the first host of the list (gRFC A62), or of the list in an order of chance. */
export class PickFirstPicker<H> implements Picker<H> {
  readonly #host: H | null

  constructor(hosts: readonly H[], shuffle: boolean, random: Random) {
    this.#host = hosts[shuffle ? Math.floor(random() * hosts.length) : 0] ?? null
  }

  pick(): H | null {
    return this.#host
  }
}
