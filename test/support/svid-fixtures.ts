// Wanted by @peculiar/x509 before it is loaded.
import 'reflect-metadata'
import { KeyObject, randomBytes, type webcrypto, X509Certificate } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import type { WorkloadIdentity } from '../../src/security/certificate-provider.ts'
import type { TrustBundle } from '../../src/security/trust-bundle.ts'
import type { X509Svid } from '../../src/security/x509-svid.ts'

export { Extension, KeyUsageFlags } from '@peculiar/x509'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/** A general name: its kind and its value. */
export type Name = `${'dns' | 'ip' | 'url' | 'email'}:${string}`

/** What may be wrong with a leaf. */
export interface LeafOptions {
  readonly names?: readonly Name[]
  readonly subject?: string
  readonly isCa?: boolean
  /** `null`: none. Default: digitalSignature, critical. */
  readonly keyUsage?: { readonly usages: number; readonly isCritical: boolean } | null
  /** `null`: none. Default: server and client. */
  readonly extendedKeyUsage?: readonly string[] | null
  readonly notBefore?: Date
  readonly notAfter?: Date
  readonly isSanCritical?: boolean
  readonly more?: readonly x509.Extension[]
}

/** What a test gives a certificate for. */
export interface Issued {
  readonly certificate: X509Certificate
  readonly privateKey: KeyObject
}

const generalNames = (names: readonly Name[]): x509.JsonGeneralNames =>
  names.map(name => {
    const at = name.indexOf(':')
    return { type: name.slice(0, at) as 'dns' | 'ip' | 'url' | 'email', value: name.slice(at + 1) }
  })

/** The authority of a trust domain, for tests. */
export class SvidAuthority {
  readonly trustDomain: string
  readonly root: X509Certificate
  readonly #keys: webcrypto.CryptoKeyPair
  readonly #issuer: string

  private constructor(trustDomain: string, root: X509Certificate, keys: webcrypto.CryptoKeyPair, issuer: string) {
    this.trustDomain = trustDomain
    this.root = root
    this.#keys = keys
    this.#issuer = issuer
  }

  static async create(
    trustDomain = 'td',
    validity: { readonly notBefore?: Date; readonly notAfter?: Date } = {},
  ): Promise<SvidAuthority> {
    const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const name = `CN=${trustDomain} ${randomBytes(4).toString('hex')}`
    const root = await x509.X509CertificateGenerator.createSelfSigned({
      name,
      keys,
      signingAlgorithm: algorithm,
      ...validity,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        new x509.SubjectAlternativeNameExtension(generalNames([`url:spiffe://${trustDomain}`])),
      ],
    })
    return new SvidAuthority(trustDomain, new X509Certificate(root.toString('pem')), keys, name)
  }

  get bundle(): TrustBundle {
    return { trustDomain: this.trustDomain, authorities: [this.root], sequence: undefined }
  }

  /** Signs a leaf for `path` in its own trust domain, unless the options name something else. */
  async issue(path: string, options: LeafOptions = {}): Promise<Issued> {
    const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const { names = [`url:spiffe://${this.trustDomain}${path}`], subject = 'CN=leaf', isCa = false } = options
    const { keyUsage = { usages: x509.KeyUsageFlags.digitalSignature, isCritical: true } } = options
    const { extendedKeyUsage = [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth] } = options
    const {
      notBefore = new Date(Date.now() - 60_000),
      notAfter = new Date(Date.now() + 3_600_000),
      isSanCritical = false,
    } = options
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: randomBytes(8).toString('hex'),
      subject,
      issuer: this.#issuer,
      notBefore,
      notAfter,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(isCa, undefined, true),
        ...(keyUsage === null ? [] : [new x509.KeyUsagesExtension(keyUsage.usages, keyUsage.isCritical)]),
        ...(extendedKeyUsage === null ? [] : [new x509.ExtendedKeyUsageExtension([...extendedKeyUsage])]),
        ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(generalNames(names), isSanCritical)]),
        ...(options.more ?? []),
      ],
    })
    return { certificate: new X509Certificate(certificate.toString('pem')), privateKey: KeyObject.from(keys.privateKey) }
  }

  async svid(path: string, options: LeafOptions = {}): Promise<X509Svid> {
    const { certificate, privateKey } = await this.issue(path, options)
    const spiffeId = `spiffe://${this.trustDomain}${path}`
    return { spiffeId, trustDomain: this.trustDomain, certificateChain: [certificate], privateKey }
  }

  /** An identity that trusts this authority and `others`. */
  async identity(path: string, others: readonly SvidAuthority[] = [], options: LeafOptions = {}): Promise<WorkloadIdentity> {
    const bundles = new Map([this, ...others].map(each => [each.trustDomain, each.bundle]))
    return { svid: await this.svid(path, options), bundles }
  }
}

/** DER of a certificate with these names. */
export async function makeCertificate(names: readonly Name[]): Promise<Buffer> {
  const authority = await SvidAuthority.create()
  return (await authority.issue('/x', { names })).certificate.raw
}
