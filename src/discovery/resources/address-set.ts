/**
 * A set of addresses with their ports. Made of flat arrays: a `Map` of 10,000 entries is built from megabytes that the garbage collector moves,
 * on every update of a large cluster.
 */
export class AddressSet {
  readonly #addresses: string[] = []
  readonly #ports: number[] = []
  /** Places in the two arrays, from 1, by hash; twice as large as what is in it, at least. */
  #table = new Int32Array(64)

  /** Returns whether it is new. */
  add(address: string, port: number): boolean {
    const slot = this.#find(address, port)
    if (this.#table[slot] !== 0) return false
    this.#table[slot] = this.#addresses.push(address)
    this.#ports.push(port)
    if (2 * this.#addresses.length > this.#table.length) this.#grow()
    return true
  }

  /** The slot of an address, or the empty one where it belongs. */
  #find(address: string, port: number): number {
    const table = this.#table
    const mask = table.length - 1
    let slot = hashOf(address, port) & mask
    for (;;) {
      const place = table[slot] ?? 0
      if (place === 0 || (this.#ports[place - 1] === port && this.#addresses[place - 1] === address)) return slot
      slot = (slot + 1) & mask
    }
  }

  #grow(): void {
    this.#table = new Int32Array(4 * this.#table.length)
    for (let index = 0; index < this.#addresses.length; index++) {
      this.#table[this.#find(this.#addresses[index] ?? '', this.#ports[index] ?? 0)] = index + 1
    }
  }
}

/** FNV-1a, finished so that neighbouring addresses do not crowd together. */
function hashOf(address: string, port: number): number {
  let hash = 0x811c9dc5 ^ port
  for (let at = 0; at < address.length; at++) hash = Math.imul(hash ^ address.charCodeAt(at), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return hash ^ (hash >>> 13)
}
