import { createHash, X509Certificate } from 'node:crypto'

/** SHA-256 of a public key's SPKI, base64url: what a join token pins, as kubeadm pins the authority of a cluster. */
export function spkiPin(certificatePem: string): string {
  const spki = new X509Certificate(certificatePem).publicKey.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(spki).digest('base64url')
}
