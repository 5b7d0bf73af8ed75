import type { KeyObject, X509Certificate } from 'node:crypto'
import { type CertificateExtensions, readExtensions } from './certificate-extensions.ts'
import type { WorkloadIdentity } from './certificate-provider.ts'
import { parseSpiffeId } from './spiffe-id.ts'
import type { SvidValidator } from './svid-validator.ts'
import type { TrustBundle } from './trust-bundle.ts'

/** What an identity is put together from. */
export interface IdentityMaterial {
  /** Leaf first. */
  readonly chain: readonly X509Certificate[]
  readonly privateKey: KeyObject
  /** Of the own trust domain. `undefined`: they are among those of {@link federated}. */
  readonly roots: readonly X509Certificate[] | undefined
  /** Of other trust domains. */
  readonly federated?: readonly TrustBundle[]
}

/**
 * Puts an identity together, if it is one: a leaf that belongs to the key, is an SVID by every rule that holds for peers, and is signed under
 * its own bundle (SPIFFE X509-SVID).
 *
 * @param expectedId the SPIFFE ID that it must have; `undefined`: any
 * @throws Error saying what is wrong
 */
export function makeIdentity(
  { chain, privateKey, roots, federated = [] }: IdentityMaterial,
  validator: SvidValidator,
  expectedId: string | undefined,
): WorkloadIdentity {
  const [leaf, ...intermediates] = chain
  if (leaf === undefined) throw new Error('there is no certificate')
  if (!leaf.checkPrivateKey(privateKey)) throw new Error('the private key is not that of the certificate')
  const id = idOf(readExtensions(leaf.raw))
  if (expectedId !== undefined && id.text !== expectedId) throw new Error(`it is for ${id.text}, and this is ${expectedId}`)
  const bundles = new Map(federated.map(bundle => [bundle.trustDomain, bundle]))
  if (roots !== undefined) bundles.set(id.trustDomain, { trustDomain: id.trustDomain, authorities: roots, sequence: undefined })
  for (const role of ['client', 'server'] as const) {
    const verdict = validator.validate(leaf, intermediates, bundles, role)
    if (!verdict.ok) throw new Error(`${verdict.problem}: ${verdict.detail}`)
  }
  return { svid: { spiffeId: id.text, trustDomain: id.trustDomain, certificateChain: chain, privateKey }, bundles }
}

function idOf({ subjectAltNames }: CertificateExtensions) {
  const [uri, another] = subjectAltNames?.uris ?? []
  if (uri === undefined || another !== undefined) throw new Error('the certificate must name one URI')
  const id = parseSpiffeId(uri)
  if ('problem' in id) throw new Error(`${JSON.stringify(uri)} ${id.problem}`)
  return id
}
