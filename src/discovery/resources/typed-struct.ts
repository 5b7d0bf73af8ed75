import type { JsonObject } from '@bufbuild/protobuf'

/** A message of a type from its JSON. Throws an Error when it is none. */
type Convert = (typeName: string, json: JsonObject) => Uint8Array

let convert: Convert | undefined

/** Whether there may be a `TypedStruct` somewhere in a message. */
export function mayHoldTypedStruct({ buffer, byteOffset, length }: Uint8Array): boolean {
  return Buffer.from(buffer, byteOffset, length).includes('.TypedStruct')
}

/** Loads what {@link bytesOfJson} needs. Most processes never do: it takes longer than all the rest of a start. */
export async function loadTypedStructs(): Promise<void> {
  if (convert !== undefined) return
  const { bytesOf } = await import('../known-types.ts')
  convert = bytesOf
}

/**
 * The message that the JSON of a `TypedStruct` stands for; what is not known of it is left out.
 *
 * @throws Error when it stands for none, or {@link loadTypedStructs} has not been waited for
 */
export function bytesOfJson(typeName: string, json: JsonObject): Uint8Array {
  if (convert === undefined) throw new Error('the types of a TypedStruct are not loaded')
  return convert(typeName, json)
}
