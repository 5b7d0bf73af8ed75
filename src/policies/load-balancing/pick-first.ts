import type { Random } from '../../runtime.ts'
import type { PickContext, Picker } from './picker.ts'

/** Always the first host of the list (gRFC A62), or of the list in an order of chance; when that will not do, the next of it. */
export class PickFirstPicker<H> implements Picker<H> {
  readonly #hosts: readonly H[]

  constructor(hosts: readonly H[], shuffle: boolean, random: Random) {
    this.#hosts = shuffle ? shuffled(hosts, random) : hosts
  }

  pick(_context: PickContext, attempt: number): H | null {
    const hosts = this.#hosts
    return hosts[attempt % hosts.length] ?? null
  }
}

function shuffled<H>(hosts: readonly H[], random: Random): readonly H[] {
  const order = hosts.map(host => ({ host, rank: random() }))
  return order.sort((one, other) => one.rank - other.rank).map(({ host }) => host)
}
