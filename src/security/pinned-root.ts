import { createHash, type X509Certificate } from 'node:crypto'

/**
 * The root among the certificates a server presented whose public key has the given pin: first trust in a control plane, before
 * anything secret is sent. It must be an authority signed by itself; whether the server's own certificate is under it is for a second
 * connection to check, with this root alone as `ca`.
 *
 * @param pin SHA-256 of the SPKI, base64url without padding
 */
export function findPinnedRoot(presented: readonly X509Certificate[], pin: string): X509Certificate | undefined {
  return presented.find(
    certificate => spkiHash(certificate) === pin && certificate.ca && certificate.verify(certificate.publicKey),
  )
}

function spkiHash({ publicKey }: X509Certificate): string {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64url')
}
