import { create, type DescField, type DescMessage, type Message, ScalarType } from '@bufbuild/protobuf'

/** Makes messages of any type, deep and wide enough that every kind of field comes about. */
export class RandomMessages {
  readonly #random: () => number

  /** @param random between 0 and 1 */
  constructor(random: () => number) {
    this.#random = random
  }

  /** @param depth of messages in messages that are still made */
  make(desc: DescMessage, depth = 4): Message {
    return create(desc, this.#fields(desc, depth))
  }

  #fields(desc: DescMessage, depth: number): Record<string, unknown> {
    const fields: Record<string, unknown> = {}
    for (const field of desc.fields) {
      if (this.#random() < 0.4 || (field.message !== undefined && depth === 0)) continue
      const value = this.#valueOf(field, depth)
      if (field.oneof === undefined) fields[field.localName] = value
      else fields[field.oneof.localName] = { case: field.localName, value }
    }
    return fields
  }

  #valueOf(field: DescField, depth: number): unknown {
    const single = () => this.#single(field, depth)
    if (field.fieldKind === 'list') return Array.from({ length: this.#below(4) }, single)
    if (field.fieldKind === 'map')
      return Object.fromEntries(Array.from({ length: this.#below(3) }, () => [`${this.#text()}`, single()]))
    return single()
  }

  #single(field: DescField, depth: number): unknown {
    const { message } = field
    if (message === undefined) return field.scalar === undefined ? this.#below(300) - 1 : this.#scalar(field.scalar)
    if (message.typeName === 'google.protobuf.Struct' && field.parent.typeName !== 'google.protobuf.Value') return this.#json()
    const [value] = message.fields
    const isUnwrapped =
      field.fieldKind === 'message' && field.oneof === undefined && /^google.protobuf.\w+Value$/.test(message.typeName)
    if (isUnwrapped && value?.scalar !== undefined) return this.#scalar(value.scalar)
    return this.make(message, depth - 1)
  }

  #scalar(type: ScalarType): unknown {
    switch (type) {
      case ScalarType.STRING:
        return this.#text()
      case ScalarType.BYTES:
        return new Uint8Array([1, 2, 255].slice(this.#below(4)))
      case ScalarType.BOOL:
        return this.#random() < 0.5
      case ScalarType.DOUBLE:
        return this.#random() < 0.2 ? -0 : this.#random() * 1e6 - 5e5
      case ScalarType.FLOAT:
        return Math.fround(this.#random() * 100)
      case ScalarType.INT32:
        return this.#below(2 ** 31) - this.#below(2 ** 31)
      case ScalarType.UINT32:
        return this.#below(2 ** 32)
      case ScalarType.INT64:
        return BigInt(this.#below(2 ** 53)) * (this.#random() < 0.5 ? -500n : 3n)
      case ScalarType.UINT64:
        return BigInt(this.#below(2 ** 53)) * 2047n
      default:
        throw new TypeError(`no values of ${ScalarType[type]} are made`)
    }
  }

  #json(): Record<string, unknown> {
    const nested = this.#random() < 0.3 ? { in: this.#json() } : {}
    return { text: this.#text(), number: this.#random(), list: [null, true, [], { a: 1 }], ...nested }
  }

  #text(): string {
    return ['', 'a', 'ä€😀', '__proto__', 'x'.repeat(200)][this.#below(5)] ?? ''
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }
}
