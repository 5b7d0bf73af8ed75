import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import type { EncodedResource } from './encoded-resource.ts'

/** What one response says, before it has a nonce. The same for SotW and delta. */
export interface ResponseContent {
  readonly resources: readonly EncodedResource[]
  /** Names that do not exist: `removed_resources` of delta, `resource_errors` of SotW. */
  readonly absent: readonly string[]
  /** Those of `resources` that are new or different for this client. */
  readonly changed: readonly EncodedResource[]
}

const grpcHeaderLength = 5
const notFound = 5

/** A `DeltaDiscoveryResponse` as one gRPC message, header included. */
export function deltaFrame(typeUrl: string, revision: string, nonce: string, content: ResponseContent): Buffer {
  const tail = new BinaryWriter()
  if (revision) tail.tag(1, WireType.LengthDelimited).string(revision)
  tail.tag(4, WireType.LengthDelimited).string(typeUrl)
  tail.tag(5, WireType.LengthDelimited).string(nonce)
  for (const name of content.absent) tail.tag(6, WireType.LengthDelimited).string(name)
  const fields = content.resources.map(({ deltaField }) => deltaField)
  return frame(fields, tail.finish())
}

/** A `DiscoveryResponse` as one gRPC message, header included. Absent names go into `resource_errors` (field 7) with NOT_FOUND, gRFC A88. */
export function sotwFrame(typeUrl: string, version: string, nonce: string, content: ResponseContent): Buffer {
  const tail = new BinaryWriter().tag(1, WireType.LengthDelimited).string(version)
  tail.tag(4, WireType.LengthDelimited).string(typeUrl)
  tail.tag(5, WireType.LengthDelimited).string(nonce)
  for (const name of content.absent) tail.tag(7, WireType.LengthDelimited).bytes(resourceError(name))
  const fields = content.resources.map(({ sotwField }) => sotwField)
  return frame(fields, tail.finish())
}

/** `ResourceError { ResourceName resource_name = 1; google.rpc.Status error_detail = 2 }`. */
function resourceError(name: string): Uint8Array {
  const resourceName = new BinaryWriter().tag(1, WireType.LengthDelimited).string(name).finish()
  const status = new BinaryWriter().tag(1, WireType.Varint).int32(notFound)
  status.tag(2, WireType.LengthDelimited).string('does not exist')
  const error = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(resourceName)
  return error.tag(2, WireType.LengthDelimited).bytes(status.finish()).finish()
}

function frame(fields: readonly Uint8Array[], tail: Uint8Array): Buffer {
  let length = tail.length
  for (const field of fields) length += field.length
  const bytes = Buffer.allocUnsafe(grpcHeaderLength + length)
  bytes[0] = 0
  bytes.writeUInt32BE(length, 1)
  let at = grpcHeaderLength
  for (const field of fields) {
    bytes.set(field, at)
    at += field.length
  }
  bytes.set(tail, at)
  return bytes
}
