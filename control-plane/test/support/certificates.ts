import { generateKeyPairSync, type KeyObject, type webcrypto } from 'node:crypto'
import { ManualClock } from '../../../test/support/manual-clock.ts'
import { CertificateAuthority, type CertificateAuthorityOptions, type IssueRequest } from '../../src/ca/certificate-authority.ts'
import { MemoryCaStore } from '../../src/ca/memory-ca-store.ts'
import * as x509 from '../../src/ca/x509.ts'
import { silentLogger } from '../../src/runtime.ts'

export const trustDomain = 'mesh.test'
export const reviews = 'spiffe://mesh.test/ns/default/sa/reviews'
export const hourMs = 3_600_000
export const dayMs = 24 * hourMs

/** An authority in memory on a clock of its own, unless given others. */
export async function openAuthority(options: Partial<CertificateAuthorityOptions> & { readonly clock?: ManualClock } = {}) {
  const clock = options.clock ?? new ManualClock(Date.now())
  const store = options.store ?? new MemoryCaStore()
  const authority = await CertificateAuthority.open({ trustDomain, logger: silentLogger, ...options, store, clock })
  return { authority, clock, store }
}

/** A request to {@link CertificateAuthority.issue} that is in order. */
export const issueRequest = (given: Partial<IssueRequest> = {}): IssueRequest => ({
  spiffeId: reviews,
  publicKey: spkiOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey),
  ttlMs: 0,
  method: 'join_token',
  peer: '127.0.0.1:1',
  ...given,
})

/** The DER of a public key. */
export const spkiOf = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' })

/** A certificate request as PEM, with the private key of it. */
export async function certificateRequest(
  given: {
    algorithm?: webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams | { name: string }
    extensions?: x509.Extension[]
  } = {},
) {
  const algorithm = given.algorithm ?? { name: 'ECDSA', namedCurve: 'P-256' }
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  if (!('privateKey' in keys)) throw new Error('not a key pair')
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=anything',
    keys,
    signingAlgorithm: { ...algorithm, hash: 'SHA-256' },
    extensions: given.extensions ?? [],
  })
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey))
  const privateKey = x509.PemConverter.encode(der, 'PRIVATE KEY')
  return {
    csr: request.toString('pem'),
    der: Buffer.from(request.rawData),
    privateKey,
    publicKey: Buffer.from(request.publicKey.rawData),
  }
}
