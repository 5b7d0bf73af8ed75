import type { PickContext, Picker } from './picker.ts'

/** Any host with the same chance (`envoy.load_balancing_policies.random`; weights do not count, as in Envoy). */
export class RandomPicker<H> implements Picker<H> {
  readonly #hosts: readonly H[]

  constructor(hosts: readonly H[]) {
    this.#hosts = hosts
  }

  pick(context: PickContext): H | null {
    const hosts = this.#hosts
    return hosts[Math.floor(context.random() * hosts.length)] ?? null
  }
}
