import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { messageTables } from '../gen/tables.ts'
import {
  endOf,
  type FieldCodec,
  isFields,
  MapField,
  type MessageFields,
  OneofField,
  RepeatedField,
  SingularField,
} from './field-codec.ts'
import { scalarCodec } from './scalar-codec.ts'
import { jsonToStruct, structToJson } from './struct-codec.ts'
import type { ValueCodec } from './value-codec.ts'

/** Messages in messages; what is deeper is refused, so that no response can exhaust the stack. */
const maxDepth = 100

/**
 * Reads and writes the messages of one type by its table. What it reads is what `fromBinary` of `@bufbuild/protobuf` reads, without that
 * library's descriptors, which take most of the time of a start.
 */
export class MessageCodec {
  static readonly #all = new Map<string, MessageCodec>()
  readonly #typeName: string
  readonly #fields: readonly FieldCodec[]
  /** One for each property. */
  readonly #properties: readonly FieldCodec[]
  readonly #byNumber: ReadonlyMap<number, FieldCodec>

  private constructor(typeName: string, table: string) {
    this.#typeName = typeName
    this.#fields = table === '' ? [] : table.split('|').map(fieldCodec)
    this.#properties = [...new Map(this.#fields.map(field => [field.key, field])).values()]
    this.#byNumber = new Map(this.#fields.map(field => [field.number, field]))
  }

  /**
   * The codec of a message, made when it is first asked for.
   *
   * @throws TypeError when there is no table of that name
   */
  static of(typeName: string): MessageCodec {
    let codec = MessageCodec.#all.get(typeName)
    if (codec === undefined) {
      const table = messageTables[typeName]
      if (table === undefined) throw new TypeError(`no table of ${typeName}`)
      codec = new MessageCodec(typeName, table)
      MessageCodec.#all.set(typeName, codec)
    }
    return codec
  }

  /** A message that says nothing. */
  create(): MessageFields {
    const message: MessageFields = { $typeName: this.#typeName }
    for (const property of this.#properties) property.reset(message)
    return message
  }

  /** @throws Error when these are not the bytes of a message */
  decode(bytes: Uint8Array): MessageFields {
    const reader = new BinaryReader(bytes)
    const message = this.create()
    this.read(message, reader, reader.len, 1)
    return message
  }

  /** Merges into a message what is read up to `end`. */
  read(message: MessageFields, reader: BinaryReader, end: number, depth: number): void {
    if (depth > maxDepth) throw new RangeError(`${this.#typeName}: more than ${maxDepth} messages in one another`)
    while (reader.pos < end) {
      const [number, wireType] = reader.tag()
      const field = this.#byNumber.get(number)
      if (field?.takes(wireType)) field.read(message, reader, depth, wireType)
      else keepUnknown(message, { no: number, wireType, data: reader.skip(wireType, number) })
    }
    if (reader.pos > end) throw new RangeError('premature EOF')
  }

  encode(message: Readonly<MessageFields>): Uint8Array {
    const writer = new BinaryWriter()
    this.write(message, writer)
    return writer.finish()
  }

  /** Fields that are not there are as if they were zero. */
  write(message: Readonly<MessageFields>, writer: BinaryWriter): void {
    for (const field of this.#fields) field.write(message, writer)
  }
}

function keepUnknown(message: MessageFields, field: { no: number; wireType: WireType; data: Uint8Array }): void {
  const { $unknown } = message
  if (Array.isArray($unknown)) $unknown.push(field)
  else message.$unknown = [field]
}

/** `NUMBER NAME KIND [ONEOF]`; the kind is `*KIND` of a list, `KEY>KIND` of a map and `KIND?` of a number that may be absent. */
function fieldCodec(text: string): FieldCodec {
  const [digits, name = '', kind = '', oneof] = text.split(' ')
  const number = Number(digits)
  if (oneof !== undefined) return new OneofField(number, oneof, name, valueCodec(kind))
  if (kind.startsWith('*')) return new RepeatedField(number, name, valueCodec(kind.slice(1)))
  const arrow = kind.indexOf('>')
  if (arrow > 0) return new MapField(number, name, valueCodec(kind.slice(0, arrow)), valueCodec(kind.slice(arrow + 1)))
  if (kind.endsWith('?')) return new SingularField(number, name, valueCodec(kind.slice(0, -1)), true)
  return new SingularField(number, name, valueCodec(kind), /^(\.|=|struct$)/.test(kind))
}

/** `.NAME` of a message, `=NAME` of a wrapper that its value stands for, `struct`, or a scalar. */
function valueCodec(kind: string): ValueCodec {
  if (kind.startsWith('.')) return new MessageValue(kind.slice(1), asItIs, asItIs)
  if (kind.startsWith('='))
    return new MessageValue(
      kind.slice(1),
      ({ value }) => value,
      value => ({ value }),
    )
  if (kind === 'struct') return new MessageValue('google.protobuf.Struct', structToJson, json => jsonToStruct(asItIs(json)))
  return scalarCodec(kind)
}

const asItIs = (message: unknown): MessageFields => (isFields(message) ? message : {})

/** A field that holds a message, or what stands for one. */
class MessageValue implements ValueCodec {
  readonly wireType = WireType.LengthDelimited
  readonly #typeName: string
  #codec: MessageCodec | undefined
  readonly #toLocal: (message: MessageFields) => unknown
  readonly #toMessage: (local: unknown) => MessageFields

  constructor(typeName: string, toLocal: (message: MessageFields) => unknown, toMessage: (local: unknown) => MessageFields) {
    this.#typeName = typeName
    this.#toLocal = toLocal
    this.#toMessage = toMessage
  }

  zero(): unknown {
    return this.#toLocal(this.#type().create())
  }

  isZero(): boolean {
    return false
  }

  read(reader: BinaryReader, depth: number, before: unknown): unknown {
    const codec = this.#type()
    const message = before === undefined ? codec.create() : this.#toMessage(before)
    codec.read(message, reader, endOf(reader), depth + 1)
    return this.#toLocal(message)
  }

  write(value: unknown, writer: BinaryWriter): void {
    writer.fork()
    this.#type().write(this.#toMessage(value), writer)
    writer.join()
  }

  /** Found when it is needed: a message may hold others of its own type. */
  #type(): MessageCodec {
    this.#codec ??= MessageCodec.of(this.#typeName)
    return this.#codec
  }
}
