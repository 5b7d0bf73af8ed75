import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { inspect } from 'node:util'
import { clockSkewMs, randomSerial } from './certificate-fields.ts'
import { spkiPin } from './spki-pin.ts'
import * as x509 from './x509.ts'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/** A root certificate with the key that signs for it. The key never leaves through `JSON.stringify` or `util.inspect`. */
export class SigningRoot {
  readonly certificatePem: string
  /** SHA-256 of its SPKI, base64url; its name in the store. */
  readonly pin: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly #key: KeyObject

  /** @throws when the key is not the certificate's */
  constructor(certificatePem: string, key: KeyObject) {
    const certificate = new X509Certificate(certificatePem)
    if (!certificate.checkPrivateKey(key)) throw new Error('the key of a root is not that of its certificate')
    this.certificatePem = certificatePem
    this.pin = spkiPin(certificatePem)
    this.notBeforeMs = certificate.validFromDate.getTime()
    this.notAfterMs = certificate.validToDate.getTime()
    this.#key = key
  }

  /** A new EC P-256 root with the SPIFFE ID of its trust domain (X509-SVID 3 and 4: signers have an ID without a path). */
  static async create(trustDomain: string, nowMs: number, lifetimeMs: number): Promise<SigningRoot> {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const serialNumber = randomSerial()
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber,
      // Different roots have different names, so that a chain is never tried against the wrong one.
      name: [{ O: [trustDomain] }, { CN: [`inmesh root ${serialNumber.slice(0, 16)}`] }],
      notBefore: new Date(nowMs - clockSkewMs),
      notAfter: new Date(nowMs + lifetimeMs),
      keys: {
        privateKey: privateKey.toCryptoKey(algorithm, false, ['sign']),
        publicKey: publicKey.toCryptoKey(algorithm, true, ['verify']),
      },
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        new x509.SubjectAlternativeNameExtension([{ type: 'url', value: `spiffe://${trustDomain}` }]),
        await x509.SubjectKeyIdentifierExtension.create(publicKey.toCryptoKey(algorithm, true, ['verify'])),
      ],
    })
    return new SigningRoot(certificate.toString('pem'), privateKey)
  }

  /** Reads the key of a stored root. */
  static restore(certificatePem: string, keyPem: string): SigningRoot {
    return new SigningRoot(certificatePem, createPrivateKey(keyPem))
  }

  /** Signs what a certificate generator asks for, without handing out the key. */
  async sign(
    params: Omit<x509.X509CertificateCreateWithKeyParams, 'signingKey' | 'signingAlgorithm' | 'issuer'>,
  ): Promise<x509.X509Certificate> {
    return x509.X509CertificateGenerator.create({
      ...params,
      issuer: new x509.X509Certificate(this.certificatePem).subject,
      signingKey: this.#key.toCryptoKey(algorithm, false, ['sign']),
      signingAlgorithm: algorithm,
    })
  }

  /** The key as PKCS#8 PEM, for the store and nothing else. */
  exportKey(): string {
    return this.#key.export({ type: 'pkcs8', format: 'pem' }).toString()
  }

  toJSON(): object {
    return { pin: this.pin, notAfterMs: this.notAfterMs, key: '[redacted]' }
  }

  [inspect.custom](): string {
    return `SigningRoot { pin: '${this.pin}', key: [redacted] }`
  }
}
