import { type BinaryReader, type BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import type { ValueCodec } from './value-codec.ts'

const { Varint, Bit32, Bit64, LengthDelimited } = WireType

/** The codec of a scalar type by its name, `enum` among them: the values of enums are numbers, known or not. */
export function scalarCodec(kind: string): ValueCodec {
  const codec = codecs[kind]
  if (codec === undefined) throw new TypeError(`no scalar type ${kind}`)
  return codec
}

const codecs: Readonly<Record<string, ValueCodec>> = {
  bool: scalar<boolean>(
    Varint,
    false,
    reader => reader.bool(),
    (value, writer) => writer.bool(value),
  ),
  bytes: {
    wireType: LengthDelimited,
    zero: () => new Uint8Array(),
    isZero: value => value instanceof Uint8Array && value.length === 0,
    read: reader => reader.bytes(),
    write: (value, writer) => writer.bytes(value instanceof Uint8Array ? value : new Uint8Array()),
  },
  double: scalar<number>(
    Bit64,
    0,
    reader => reader.double(),
    (value, writer) => writer.double(value),
  ),
  enum: scalar<number>(
    Varint,
    0,
    reader => reader.int32(),
    (value, writer) => writer.int32(value),
  ),
  float: scalar<number>(
    Bit32,
    0,
    reader => reader.float(),
    (value, writer) => writer.float(value),
  ),
  int32: scalar<number>(
    Varint,
    0,
    reader => reader.int32(),
    (value, writer) => writer.int32(value),
  ),
  int64: scalar<bigint | string>(
    Varint,
    0n,
    reader => reader.int64(),
    (value, writer) => writer.int64(value),
  ),
  string: scalar<string>(
    LengthDelimited,
    '',
    // Strictly: what is not UTF-8 is an error.
    reader => reader.string(true),
    (value, writer) => writer.string(value),
  ),
  uint32: scalar<number>(
    Varint,
    0,
    reader => reader.uint32(),
    (value, writer) => writer.uint32(value),
  ),
  uint64: scalar<bigint | string>(
    Varint,
    0n,
    reader => reader.uint64(),
    (value, writer) => writer.uint64(value),
  ),
}

function scalar<T extends boolean | number | bigint | string>(
  wireType: WireType,
  zero: T,
  read: (reader: BinaryReader) => T,
  write: (value: T, writer: BinaryWriter) => void,
): ValueCodec {
  return {
    wireType,
    zero: () => zero,
    isZero: value => value === zero && !Object.is(value, -0),
    read,
    // The types of messages say what a field holds.
    write: (value, writer) => write(value as T, writer),
  }
}
