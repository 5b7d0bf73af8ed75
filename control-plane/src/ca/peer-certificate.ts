import { X509Certificate } from 'node:crypto'
import type { PeerIdentity } from '../xds/grpc-call.ts'
import { parseSpiffeId } from './spiffe-id.ts'
import type { TrustBundle } from './trust-bundle.ts'
import * as x509 from './x509.ts'

/** A client certificate that proves nothing. The message is for the log. */
export class BadPeerCertificateError extends Error {}

/**
 * Checks a client certificate by the rules of X509-SVID 5, and that one of the roots signed it: what was signed before a root left the
 * bundle does not count. The TLS library's own checks of the chain come before.
 *
 * @throws {BadPeerCertificateError}
 */
export function peerIdentity(certificate: X509Certificate, bundle: TrustBundle, nowMs: number): PeerIdentity {
  const notBeforeMs = certificate.validFromDate.getTime()
  const notAfterMs = certificate.validToDate.getTime()
  if (nowMs < notBeforeMs || nowMs >= notAfterMs) throw new BadPeerCertificateError('the certificate is not valid now')
  if (!bundle.roots.some(root => isIssuedBy(certificate, new X509Certificate(root))))
    throw new BadPeerCertificateError('the certificate is under none of the roots')
  const parsed = new x509.X509Certificate(certificate.raw)
  requireLeaf(parsed)
  return {
    spiffeId: onlyIdentity(parsed, bundle.trustDomain),
    serial: certificate.serialNumber.toLowerCase(),
    notBeforeMs,
    notAfterMs,
  }
}

function isIssuedBy(certificate: X509Certificate, root: X509Certificate): boolean {
  return certificate.checkIssued(root) && certificate.verify(root.publicKey)
}

function requireLeaf(certificate: x509.X509Certificate): void {
  if (certificate.getExtension(x509.BasicConstraintsExtension)?.ca)
    throw new BadPeerCertificateError('the certificate is an authority')
  const usages = certificate.getExtension(x509.KeyUsagesExtension)?.usages ?? 0
  const { digitalSignature, keyCertSign, cRLSign } = x509.KeyUsageFlags
  if ((usages & digitalSignature) === 0 || (usages & (keyCertSign | cRLSign)) !== 0)
    throw new BadPeerCertificateError('the key usage is not that of a leaf')
  const purposes = certificate.getExtension(x509.ExtendedKeyUsageExtension)?.usages
  if (purposes && !purposes.includes(x509.ExtendedKeyUsage.clientAuth))
    throw new BadPeerCertificateError('the certificate is not for clients')
}

function onlyIdentity(certificate: x509.X509Certificate, trustDomain: string): string {
  const names = certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.items ?? []
  const [uri, ...more] = names.filter(({ type }) => type === 'url')
  const id = uri && parseSpiffeId(uri.value)
  if (!uri || !id?.path || more.length > 0 || id.trustDomain !== trustDomain)
    throw new BadPeerCertificateError(`the certificate does not name one identity of ${trustDomain}`)
  return uri.value
}
