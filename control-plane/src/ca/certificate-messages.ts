import { fromBinary } from '@bufbuild/protobuf'
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { type Struct, StructSchema } from '@bufbuild/protobuf/wkt'

/** `istio.v1.auth.IstioCertificateRequest`. */
export interface CertificateRequestMessage {
  /** PEM. */
  readonly csr: string
  readonly validitySeconds: number
  readonly metadata: Struct | undefined
}

/** Reads an `IstioCertificateRequest { csr = 1, validity_duration = 3, metadata = 4 }`. Throws when the bytes are not one. */
export function decodeCertificateRequest(bytes: Uint8Array): CertificateRequestMessage {
  const reader = new BinaryReader(bytes)
  let csr = ''
  let validitySeconds = 0
  let metadata: Struct | undefined
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    if (field === 1 && type === WireType.LengthDelimited) csr = reader.string()
    else if (field === 3 && type === WireType.Varint) validitySeconds = Number(reader.int64())
    else if (field === 4 && type === WireType.LengthDelimited) metadata = fromBinary(StructSchema, reader.bytes())
    else reader.skip(type, field)
  }
  return { csr, validitySeconds, metadata }
}

/** Writes an `IstioCertificateResponse { cert_chain = 1 }`. */
export function encodeCertificateResponse(chain: readonly string[]): Uint8Array {
  const writer = new BinaryWriter()
  for (const pem of chain) writer.tag(1, WireType.LengthDelimited).string(pem)
  return writer.finish()
}
