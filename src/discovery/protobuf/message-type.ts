import type { Message, MessageInitShape, MessageShape } from '@bufbuild/protobuf'
import type { GenMessage } from '@bufbuild/protobuf/codegenv2'
import { MessageCodec } from './message-codec.ts'

/** A type of message that is read and written without descriptors. */
export interface MessageType<T extends Message> {
  /** Such as `envoy.config.cluster.v3.Cluster`. */
  readonly typeName: T['$typeName']
  /** The last word of {@link typeName}. */
  readonly name: string
  /** A message that says nothing. */
  create(): T
  /** @throws Error when these are not the bytes of a message */
  decode(bytes: Uint8Array): T
  /** Fields that are not there are as if they were zero. */
  encode(message: MessageInitShape<GenMessage<T>>): Uint8Array
}

/** The message that a type stands for. */
export type MessageOf<Type> = Type extends MessageType<infer T> ? T : never

/** The type of the generated message `T`, which has to be among the `decodedTypes`. */
export function messageType<T extends Message>(typeName: T['$typeName']): MessageType<T> {
  return {
    typeName,
    name: typeName.slice(typeName.lastIndexOf('.') + 1),
    // The tables and the types are made from the same files.
    create: () => MessageCodec.of(typeName).create() as MessageShape<GenMessage<T>>,
    decode: bytes => MessageCodec.of(typeName).decode(bytes) as MessageShape<GenMessage<T>>,
    encode: message => MessageCodec.of(typeName).encode({ ...message }),
  }
}
