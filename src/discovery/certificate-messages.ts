import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire'

/** The one method of Istio's certificate service, which the control plane serves too. */
export const createCertificatePath = '/istio.v1.auth.IstioCertificateService/CreateCertificate'

/**
 * `IstioCertificateRequest { csr = 1, validity_duration = 3 }`.
 *
 * @param csr PEM
 * @param validitySeconds 0: what the authority thinks fit
 */
export function encodeCertificateRequest(csr: string, validitySeconds: number): Uint8Array {
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).string(csr)
  if (validitySeconds > 0) writer.tag(3, WireType.Varint).int64(validitySeconds)
  return writer.finish()
}

/** The certificates of an `IstioCertificateResponse { cert_chain = 1 }`, PEM. */
export function decodeCertificateResponse(bytes: Uint8Array): readonly string[] {
  const reader = new BinaryReader(bytes)
  const chain: string[] = []
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    if (field === 1 && type === WireType.LengthDelimited) chain.push(reader.string())
    else reader.skip(type, field)
  }
  return chain
}
