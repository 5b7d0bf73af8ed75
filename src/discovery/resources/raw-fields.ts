import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import type { Problems } from './problems.ts'

/** The fields of a message that no package has generated types for, by number; a number is kept as its decimal digits. */
export type Fields = ReadonlyMap<number, readonly Uint8Array[]>

/**
 * @param names of the fields that are known; others are reported
 * @throws Error when these are not the bytes of a message
 */
export function readFields(bytes: Uint8Array, names: Readonly<Record<number, string>>, problems: Problems): Fields {
  const reader = new BinaryReader(bytes)
  const fields = new Map<number, Uint8Array[]>()
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    if (!(field in names)) {
      problems.add(`field ${field} is not supported`)
      reader.skip(type, field)
      continue
    }
    const value =
      type === WireType.LengthDelimited
        ? reader.bytes()
        : type === WireType.Varint
          ? varintBytes(reader)
          : reader.skip(type, field)
    fields.set(field, [...(fields.get(field) ?? []), value])
  }
  return fields
}

function varintBytes(reader: BinaryReader): Uint8Array {
  return Buffer.from(String(reader.uint64()))
}

/** The first number of a field; 0 when it is not set. */
export function numberOf(fields: Fields, field: number): number {
  return Number(textOf(fields, field) || 0)
}

/** The first text of a field; empty when it is not set. */
export function textOf(fields: Fields, field: number): string {
  return textsOf(fields, field)[0] ?? ''
}

/** All texts of a field. */
export function textsOf(fields: Fields, field: number): readonly string[] {
  return (fields.get(field) ?? []).map(bytes => Buffer.from(bytes).toString('utf8'))
}
