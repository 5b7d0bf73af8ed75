import type { X509Certificate } from 'node:crypto'
import type { Clock } from '../runtime.ts'
import { type CertificateExtensions, readExtensions } from './certificate-extensions.ts'
import { parseSpiffeId, type SpiffeId } from './spiffe-id.ts'
import type { TrustBundle, TrustBundles } from './trust-bundle.ts'

/** Why a certificate is no SVID that is to be trusted. */
export type SvidProblem =
  | 'malformed'
  | 'no_uri_san'
  | 'several_uri_sans'
  | 'bad_spiffe_id'
  | 'no_path'
  | 'leaf_is_ca'
  | 'no_key_usage'
  | 'key_usage_not_critical'
  | 'no_digital_signature'
  | 'leaf_signs_certificates'
  | 'wrong_extended_key_usage'
  | 'san_not_critical'
  | 'unknown_critical_extension'
  | 'not_yet_valid'
  | 'expired'
  | 'untrusted_domain'
  | 'untrusted_issuer'

/** Whether a peer is who it says. */
export type SvidVerdict =
  | { readonly ok: true; readonly id: SpiffeId }
  | { readonly ok: false; readonly problem: SvidProblem; readonly detail: string }

/** What a peer does with its certificate. */
export type PeerRole = 'client' | 'server'

const usages: Readonly<Record<PeerRole, string>> = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' }
const anyExtendedKeyUsage = '2.5.29.37.0'
/** How far clocks may be apart. */
const skewMs = 60_000
const maxIntermediates = 4

/**
 * Checks X509-SVIDs (SPIFFE X509-SVID sections 2 to 5): exactly one URI SAN with a SPIFFE ID that has a path, a leaf that signs nothing,
 * within its time, and a chain to an authority of the trust domain that the ID claims, and of no other.
 */
export class SvidValidator {
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * @param intermediates that the peer sent beside its leaf, in any order
   * @param isChainVerified TLS has verified the chain with the authorities of all bundles. With one bundle that is enough. With several the
   *   chain must be seen, and some versions of Node (24.21, 26.8) hand a server nothing but the leaf
   */
  validate(
    leaf: X509Certificate,
    intermediates: readonly X509Certificate[],
    bundles: TrustBundles,
    role: PeerRole,
    isChainVerified = false,
  ): SvidVerdict {
    let extensions: CertificateExtensions
    try {
      extensions = readExtensions(leaf.raw)
    } catch (error) {
      return refused('malformed', error instanceof Error ? error.message : String(error))
    }
    const id = idOf(extensions)
    if ('ok' in id) return id
    const { trustDomain } = id
    const flaw = checkLeaf(extensions, role) ?? this.#checkTime(leaf)
    if (flaw !== null) return flaw
    const bundle = bundles.get(trustDomain)
    if (bundle === undefined || bundle.authorities.length === 0)
      return refused('untrusted_domain', `there is no bundle of the trust domain ${trustDomain}`)
    if (!(isChainVerified && bundles.size === 1) && !this.#isIssued(leaf, intermediates, bundle, 0))
      return refused(
        'untrusted_issuer',
        `${id.text} is not signed by an authority of its trust domain${unseen(isChainVerified, intermediates)}`,
      )
    return { ok: true, id }
  }

  /** An authority's own time counts too, whichever of them signed. */
  #isIssued(
    certificate: X509Certificate,
    intermediates: readonly X509Certificate[],
    bundle: TrustBundle,
    depth: number,
  ): boolean {
    if (bundle.authorities.some(authority => this.#checkTime(authority) === null && signed(authority, certificate))) return true
    if (depth === maxIntermediates) return false
    return intermediates.some(
      each =>
        each !== certificate &&
        isSigner(each) &&
        this.#checkTime(each) === null &&
        signed(each, certificate) &&
        this.#isIssued(
          each,
          intermediates.filter(other => other !== each),
          bundle,
          depth + 1,
        ),
    )
  }

  #checkTime(certificate: X509Certificate): SvidVerdict | null {
    const now = this.#clock.wallNow()
    if (Date.parse(certificate.validFrom) - skewMs > now) return refused('not_yet_valid', `valid from ${certificate.validFrom}`)
    if (Date.parse(certificate.validTo) + skewMs < now) return refused('expired', `valid to ${certificate.validTo}`)
    return null
  }
}

/** What was verified and cannot be seen may be good, and nothing says for which trust domain. */
const unseen = (isChainVerified: boolean, { length }: readonly X509Certificate[]) =>
  isChainVerified && length === 0 ? ', and Node shows no certificate between them' : ''

function refused(problem: SvidProblem, detail: string): SvidVerdict {
  return { ok: false, problem, detail }
}

function idOf({ subjectAltNames }: CertificateExtensions): SpiffeId | SvidVerdict {
  const uris = subjectAltNames?.uris ?? []
  const [uri] = uris
  if (uri === undefined) return refused('no_uri_san', 'it names no URI')
  if (uris.length > 1) return refused('several_uri_sans', `it names ${uris.length} URIs`)
  const id = parseSpiffeId(uri)
  if ('problem' in id) return refused('bad_spiffe_id', `${JSON.stringify(uri.slice(0, 100))} ${id.problem}`)
  if (id.path === '') return refused('no_path', `${id.text} names a trust domain and no workload`)
  return id
}

function checkLeaf(
  { isCa, keyUsage, extendedKeyUsage, subjectAltNames, hasEmptySubject, unknownCritical }: CertificateExtensions,
  role: PeerRole,
): SvidVerdict | null {
  if (isCa) return refused('leaf_is_ca', 'the leaf is an authority')
  if (keyUsage === undefined) return refused('no_key_usage', 'it has no key usage')
  if (!keyUsage.isCritical) return refused('key_usage_not_critical', 'its key usage is not critical')
  if (keyUsage.keyCertSign || keyUsage.crlSign) return refused('leaf_signs_certificates', 'it may sign certificates or lists')
  if (!keyUsage.digitalSignature) return refused('no_digital_signature', 'it may not sign')
  if (
    extendedKeyUsage !== undefined &&
    !extendedKeyUsage.includes(usages[role]) &&
    !extendedKeyUsage.includes(anyExtendedKeyUsage)
  )
    return refused('wrong_extended_key_usage', `it is not for a ${role}`)
  if (hasEmptySubject && subjectAltNames?.isCritical !== true)
    return refused('san_not_critical', 'its subject is empty, and its alternative names are not critical')
  const [unknown] = unknownCritical
  return unknown === undefined ? null : refused('unknown_critical_extension', `extension ${unknown} is critical and unknown`)
}

function signed(issuer: X509Certificate, certificate: X509Certificate): boolean {
  try {
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
  } catch {
    return false
  }
}

/** Whether a certificate that a peer sent may sign another one. Constraints on names are not looked into, so nothing is trusted through them. */
function isSigner(certificate: X509Certificate): boolean {
  try {
    const { isCa, keyUsage, hasNameConstraints, unknownCritical } = readExtensions(certificate.raw)
    return isCa && keyUsage?.keyCertSign === true && !hasNameConstraints && unknownCritical.length === 0
  } catch {
    return false
  }
}
