import type { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire'

/** How the values of a field are read and written, in the forms that the types of `@bufbuild/protobuf` give them. */
export interface ValueCodec {
  readonly wireType: WireType
  /** What an entry of a map has when it says nothing, and a field that is always there. */
  zero(): unknown
  isZero(value: unknown): boolean
  /**
   * @param depth of the message that the field is of
   * @param before what an earlier occurrence of the field has left, into which a message is merged
   * @throws Error when the bytes cannot be read
   */
  read(reader: BinaryReader, depth: number, before: unknown): unknown
  write(value: unknown, writer: BinaryWriter): void
}
