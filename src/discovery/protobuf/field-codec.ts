import { type BinaryReader, type BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import type { ValueCodec } from './value-codec.ts'

/** A message as an object: its fields by name, the field that is set of a `oneof` by the name of the `oneof`. */
export interface MessageFields {
  [name: string]: unknown
}

/** How a field of a message is read and written. */
export interface FieldCodec {
  readonly number: number
  /** The property of a message that it is kept in; the fields of a `oneof` share one. */
  readonly key: string
  /** Prepares a new message. */
  reset(message: MessageFields): void
  /** Whether this is what a value of the field begins with; else its bytes are those of an unknown field. */
  takes(wireType: WireType): boolean
  read(message: MessageFields, reader: BinaryReader, depth: number, wireType: WireType): void
  write(message: Readonly<MessageFields>, writer: BinaryWriter): void
}

/** A field that is there once. */
export class SingularField implements FieldCodec {
  readonly number: number
  readonly key: string
  readonly #value: ValueCodec
  readonly #isOptional: boolean

  /** @param isOptional whether it is absent, and not zero, in a message that does not say it */
  constructor(number: number, key: string, value: ValueCodec, isOptional: boolean) {
    this.number = number
    this.key = key
    this.#value = value
    this.#isOptional = isOptional
  }

  reset(message: MessageFields): void {
    if (!this.#isOptional) message[this.key] = this.#value.zero()
  }

  takes(wireType: WireType): boolean {
    return wireType === this.#value.wireType
  }

  read(message: MessageFields, reader: BinaryReader, depth: number): void {
    message[this.key] = this.#value.read(reader, depth, message[this.key])
  }

  write(message: Readonly<MessageFields>, writer: BinaryWriter): void {
    const value = message[this.key]
    if (value === undefined || (!this.#isOptional && this.#value.isZero(value))) return
    this.#value.write(value, writer.tag(this.number, this.#value.wireType))
  }
}

/** A field of a `oneof`, which is `{ case, value }` under the name of the `oneof`. */
export class OneofField implements FieldCodec {
  readonly number: number
  readonly key: string
  readonly #name: string
  readonly #value: ValueCodec

  constructor(number: number, oneof: string, name: string, value: ValueCodec) {
    this.number = number
    this.key = oneof
    this.#name = name
    this.#value = value
  }

  reset(message: MessageFields): void {
    message[this.key] = { case: undefined }
  }

  takes(wireType: WireType): boolean {
    return wireType === this.#value.wireType
  }

  read(message: MessageFields, reader: BinaryReader, depth: number): void {
    message[this.key] = { case: this.#name, value: this.#value.read(reader, depth, this.#in(message)) }
  }

  write(message: Readonly<MessageFields>, writer: BinaryWriter): void {
    const value = this.#in(message)
    if (value !== undefined) this.#value.write(value, writer.tag(this.number, this.#value.wireType))
  }

  #in(message: Readonly<MessageFields>): unknown {
    const chosen = message[this.key]
    if (typeof chosen !== 'object' || chosen === null || !('case' in chosen) || chosen.case !== this.#name) return undefined
    return 'value' in chosen ? chosen.value : undefined
  }
}

/** A field that is there any number of times. */
export class RepeatedField implements FieldCodec {
  readonly number: number
  readonly key: string
  readonly #value: ValueCodec
  /** Numbers are written one behind the other, under one tag. */
  readonly #isPacked: boolean

  constructor(number: number, key: string, value: ValueCodec) {
    this.number = number
    this.key = key
    this.#value = value
    this.#isPacked = value.wireType !== WireType.LengthDelimited
  }

  reset(message: MessageFields): void {
    message[this.key] = []
  }

  takes(wireType: WireType): boolean {
    return wireType === this.#value.wireType || wireType === WireType.LengthDelimited
  }

  read(message: MessageFields, reader: BinaryReader, depth: number, wireType: WireType): void {
    const items = this.#in(message)
    if (wireType === this.#value.wireType) items.push(this.#value.read(reader, depth, undefined))
    else for (const end = endOf(reader); reader.pos < end; ) items.push(this.#value.read(reader, depth, undefined))
  }

  write(message: Readonly<MessageFields>, writer: BinaryWriter): void {
    const items = this.#in(message)
    if (items.length === 0) return
    if (!this.#isPacked) {
      for (const item of items) this.#value.write(item, writer.tag(this.number, this.#value.wireType))
      return
    }
    writer.tag(this.number, WireType.LengthDelimited).fork()
    for (const item of items) this.#value.write(item, writer)
    writer.join()
  }

  #in(message: Readonly<MessageFields>): unknown[] {
    const items = message[this.key]
    return Array.isArray(items) ? items : []
  }
}

/** A field of entries, which are an object. */
export class MapField implements FieldCodec {
  readonly number: number
  readonly key: string
  readonly #keys: ValueCodec
  readonly #values: ValueCodec

  constructor(number: number, key: string, keys: ValueCodec, values: ValueCodec) {
    this.number = number
    this.key = key
    this.#keys = keys
    this.#values = values
  }

  reset(message: MessageFields): void {
    message[this.key] = {}
  }

  takes(wireType: WireType): boolean {
    return wireType === WireType.LengthDelimited
  }

  read(message: MessageFields, reader: BinaryReader, depth: number): void {
    const end = endOf(reader)
    let key: unknown
    let value: unknown
    while (reader.pos < end) {
      const [field, wireType] = reader.tag()
      if (field === 1 && wireType === this.#keys.wireType) key = this.#keys.read(reader, depth, undefined)
      else if (field === 2 && wireType === this.#values.wireType) value = this.#values.read(reader, depth, value)
      else reader.skip(wireType, field)
    }
    setOwn(this.#in(message), String(key ?? this.#keys.zero()), value ?? this.#values.zero())
  }

  write(message: Readonly<MessageFields>, writer: BinaryWriter): void {
    for (const [key, value] of Object.entries(this.#in(message))) {
      writer.tag(this.number, WireType.LengthDelimited).fork()
      this.#keys.write(key, writer.tag(1, this.#keys.wireType))
      this.#values.write(value, writer.tag(2, this.#values.wireType))
      writer.join()
    }
  }

  #in(message: Readonly<MessageFields>): MessageFields {
    const entries = message[this.key]
    return isFields(entries) ? entries : {}
  }
}

/**
 * Where the bytes end whose length comes next.
 *
 * @throws RangeError when there are not as many
 */
export function endOf(reader: BinaryReader): number {
  const length = reader.uint32()
  const end = reader.pos + length
  if (end > reader.len) throw new RangeError('premature EOF')
  return end
}

/** Also of a key such as `__proto__`. */
export function setOwn<T>(target: Record<string, T>, key: string, value: T): void {
  if (key === '__proto__') Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  else target[key] = value
}

/** An object, and not a list. */
export function isFields(value: unknown): value is MessageFields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
