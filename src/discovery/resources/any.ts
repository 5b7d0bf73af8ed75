import type { JsonObject, Message } from '@bufbuild/protobuf'
import type { Any } from '@bufbuild/protobuf/wkt'
import type { TypedStruct as UdpaTypedStruct } from '../gen/udpa/type/v1/typed_struct_pb.ts'
import type { TypedStruct } from '../gen/xds/type/v3/typed_struct_pb.ts'
import { typedStructType, udpaTypedStructType } from '../message-types.ts'
import type { MessageType } from '../protobuf/message-type.ts'
import type { Problems } from './problems.ts'
import { bytesOfJson } from './typed-struct.ts'

const typePrefix = 'type.googleapis.com/'

/** The message name at the end of a type URL. */
export function typeName(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1)
}

/** The type URL of a message. */
export function typeUrlOf({ typeName }: { readonly typeName: string }): string {
  return typePrefix + typeName
}

/**
 * What an extension's `typed_config` holds: bytes of a message, or the JSON of a `TypedStruct`
 * (`xds.type.v3`, `udpa.type.v1`), which names the type it stands for.
 */
export interface TypedConfig {
  /** Message name without the type URL's prefix. */
  readonly type: string
  /** Decodes it; reports why it cannot be. */
  as<T extends Message>(target: MessageType<T>, problems: Problems): T | undefined
}

/** Reads an `Any`, looking through `TypedStruct`. */
export function readTypedConfig(any: Any | undefined): TypedConfig {
  const struct = readTypedStruct(any)
  if (struct !== undefined) {
    const { typeUrl, value = {} } = struct
    return {
      type: typeName(typeUrl),
      as: (target, problems) =>
        report(
          parse(() => target.decode(bytesOfJson(target.typeName, value))),
          problems,
        ),
    }
  }
  return {
    type: typeName(any?.typeUrl ?? ''),
    as: (target, problems) =>
      report(
        parse(() => target.decode(any?.value ?? new Uint8Array())),
        problems,
      ),
  }
}

/** The JSON of a `TypedStruct`; `undefined` of every other message. */
export function structOf(any: Any | undefined): JsonObject | undefined {
  const struct = readTypedStruct(any)
  return struct === undefined ? undefined : (struct.value ?? {})
}

function readTypedStruct(any: Any | undefined): TypedStruct | UdpaTypedStruct | undefined {
  const type = typeName(any?.typeUrl ?? '')
  if (any === undefined || (type !== typedStructType.typeName && type !== udpaTypedStructType.typeName)) return undefined
  const { decode } = type === typedStructType.typeName ? typedStructType : udpaTypedStructType
  const struct = parse<TypedStruct | UdpaTypedStruct>(() => decode(any.value))
  return 'value' in struct ? struct.value : undefined
}

type Parsed<T> = { readonly value: T } | { readonly error: string }

function parse<T>(read: () => T): Parsed<T> {
  try {
    return { value: read() }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}

function report<T>(parsed: Parsed<T>, problems: Problems): T | undefined {
  if ('value' in parsed) return parsed.value
  problems.add(`cannot be parsed: ${parsed.error}`)
  return undefined
}
