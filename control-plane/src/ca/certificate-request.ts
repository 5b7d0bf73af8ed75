import { createPublicKey, type KeyObject } from 'node:crypto'
import * as x509 from './x509.ts'

/** A certificate request that cannot be granted; the message is for the caller. */
export class BadCertificateRequestError extends Error {}

/** More than any request for one key needs. */
const maxRequestLength = 16 * 1024
const rsaBits = { least: 2048, most: 8192 }
const curves: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1'])

/**
 * Takes the public key out of a PKCS#10 request and nothing else: names and extensions that it asks for are ignored, since identity
 * comes from authentication.
 *
 * @param text the request as PEM
 * @returns the SPKI, DER
 * @throws {BadCertificateRequestError} when it cannot be read, the key is weak, or the caller does not hold the private key
 */
export async function requestedPublicKey(text: string): Promise<Buffer> {
  if (text.length > maxRequestLength) throw new BadCertificateRequestError('the certificate request is too long')
  const request = parse(text)
  const spki = Buffer.from(request.publicKey.rawData)
  requireStrongKey(spki)
  if (!(await isSigned(request))) throw new BadCertificateRequestError('the certificate request is not signed with its own key')
  return spki
}

function parse(text: string): x509.Pkcs10CertificateRequest {
  try {
    const [block, ...more] = x509.PemConverter.decodeWithHeaders(text)
    const isRequest = block?.type === 'CERTIFICATE REQUEST' || block?.type === 'NEW CERTIFICATE REQUEST'
    if (block && isRequest && more.length === 0) return new x509.Pkcs10CertificateRequest(block.rawData)
  } catch {
    // Falls through to the one error there is for it.
  }
  throw new BadCertificateRequestError('the certificate request cannot be read')
}

function requireStrongKey(spki: Buffer): void {
  let key: KeyObject
  try {
    key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
  } catch {
    throw new BadCertificateRequestError('the public key cannot be read')
  }
  const { modulusLength = 0, publicExponent = 0n, namedCurve = '' } = key.asymmetricKeyDetails ?? {}
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return
    case 'ec':
      if (curves.has(namedCurve)) return
      throw new BadCertificateRequestError(`the curve ${namedCurve} is not one of P-256 and P-384`)
    case 'rsa':
      if (modulusLength >= rsaBits.least && modulusLength <= rsaBits.most && publicExponent >= 65_537n) return
      throw new BadCertificateRequestError(`an RSA key of ${modulusLength} bits and exponent ${publicExponent} is not accepted`)
    default:
      throw new BadCertificateRequestError(`a key of type ${key.asymmetricKeyType} is not accepted`)
  }
}

async function isSigned(request: x509.Pkcs10CertificateRequest): Promise<boolean> {
  try {
    return await request.verify()
  } catch {
    return false
  }
}
