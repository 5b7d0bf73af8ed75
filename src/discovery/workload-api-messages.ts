import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'

/** `spiffe.workload.X509SVID`, read. */
export interface WorkloadSvid {
  readonly spiffeId: string
  /** Leaf first. */
  readonly chain: readonly X509Certificate[]
  readonly privateKey: KeyObject
  /** Roots of its trust domain. */
  readonly roots: readonly X509Certificate[]
}

/** `spiffe.workload.X509SVIDResponse`, read: always everything there is. */
export interface WorkloadSvids {
  readonly svids: readonly WorkloadSvid[]
  /** Roots of other trust domains, by SPIFFE ID of the domain. */
  readonly federated: ReadonlyMap<string, readonly X509Certificate[]>
  /** The number of revocation lists. */
  readonly crls: number
}

/**
 * Reads an `X509SVIDResponse { svids = 1, crl = 2, federated_bundles = 3 }` by its field numbers (SPIFFE Workload API): no package brings its
 * types.
 *
 * @throws Error when the bytes are none
 */
export function decodeSvidResponse(bytes: Uint8Array): WorkloadSvids {
  const reader = new BinaryReader(bytes)
  const svids: WorkloadSvid[] = []
  const federated = new Map<string, readonly X509Certificate[]>()
  let crls = 0
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    if (type !== WireType.LengthDelimited || field > 3) {
      reader.skip(type, field)
      continue
    }
    const value = reader.bytes()
    if (field === 1) svids.push(decodeSvid(value))
    else if (field === 2) crls++
    else {
      const [name, bundle] = decodeEntry(value)
      federated.set(name, splitCertificates(bundle))
    }
  }
  return { svids, federated, crls }
}

/** `X509SVID { spiffe_id = 1, x509_svid = 2, x509_svid_key = 3, bundle = 4 }` */
function decodeSvid(bytes: Uint8Array): WorkloadSvid {
  const fields = readFields(bytes)
  const key = fields.get(3) ?? new Uint8Array()
  return {
    spiffeId: Buffer.from(fields.get(1) ?? []).toString('utf8'),
    chain: splitCertificates(fields.get(2) ?? new Uint8Array()),
    privateKey: createPrivateKey({ key: Buffer.from(key), format: 'der', type: 'pkcs8' }),
    roots: splitCertificates(fields.get(4) ?? new Uint8Array()),
  }
}

function decodeEntry(bytes: Uint8Array): [string, Uint8Array] {
  const fields = readFields(bytes)
  return [Buffer.from(fields.get(1) ?? []).toString('utf8'), fields.get(2) ?? new Uint8Array()]
}

/** The fields of a message that has only strings and bytes. */
function readFields(bytes: Uint8Array): ReadonlyMap<number, Uint8Array> {
  const reader = new BinaryReader(bytes)
  const fields = new Map<number, Uint8Array>()
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    if (type === WireType.LengthDelimited) fields.set(field, reader.bytes())
    else reader.skip(type, field)
  }
  return fields
}

/** Certificates that come one after another, each a DER sequence of a length of its own. */
function splitCertificates(der: Uint8Array): readonly X509Certificate[] {
  const certificates: X509Certificate[] = []
  let at = 0
  while (at < der.length) {
    const length = sequenceLength(der, at)
    certificates.push(new X509Certificate(der.subarray(at, at + length)))
    at += length
  }
  return certificates
}

function sequenceLength(der: Uint8Array, at: number): number {
  const first = der[at + 1] ?? 0
  if (der[at] !== 0x30) throw new Error('a certificate that is no DER sequence')
  if (first < 0x80) return 2 + first
  let length = 0
  for (let index = 0; index < (first & 0x7f); index++) length = length * 256 + (der[at + 2 + index] ?? 0)
  const whole = 2 + (first & 0x7f) + length
  if (at + whole > der.length) throw new Error('a certificate that is cut off')
  return whole
}
