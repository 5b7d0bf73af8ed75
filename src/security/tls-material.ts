import { X509Certificate } from 'node:crypto'
import type { DetailedPeerCertificate, PeerCertificate } from 'node:tls'
import type { WorkloadIdentity } from './certificate-provider.ts'
import type { TrustBundles } from './trust-bundle.ts'

/** The own certificate and key as Node's TLS takes them. */
export function ownCertificate({ svid }: WorkloadIdentity): { readonly cert: string; readonly key: string | Buffer } {
  return {
    cert: svid.certificateChain.map(String).join('\n'),
    key: svid.privateKey.export({ type: 'pkcs8', format: 'pem' }),
  }
}

/** The authorities of all trust domains. Which of them may vouch for a peer its SPIFFE ID decides, after the handshake. */
export function authoritiesOf({ bundles }: WorkloadIdentity): string[] {
  return [...bundles.values()].flatMap(({ authorities }) => authorities.map(String))
}

/** The certificates that came after the leaf. The last one is its own issuer where it is a root. */
export function issuersOf(certificate: PeerCertificate): X509Certificate[] {
  const issuers: X509Certificate[] = []
  let next: PeerCertificate | undefined = issuerOf(certificate)
  for (let at = certificate; next !== undefined && next !== at && issuers.length < 8; next = issuerOf(next)) {
    issuers.push(new X509Certificate(next.raw))
    at = next
  }
  return issuers
}

function issuerOf(certificate: PeerCertificate | DetailedPeerCertificate): PeerCertificate | undefined {
  return 'issuerCertificate' in certificate ? certificate.issuerCertificate : undefined
}

/** Whether every root of `before` is still trusted. */
export function containsAll(now: TrustBundles, before: TrustBundles): boolean {
  for (const [trustDomain, { authorities }] of before) {
    const left = new Set(now.get(trustDomain)?.authorities.map(({ fingerprint256 }) => fingerprint256))
    if (authorities.some(({ fingerprint256 }) => !left.has(fingerprint256))) return false
  }
  return true
}
