import { X509Certificate } from 'node:crypto'

/** The roots of a trust domain at one version. */
export interface TrustBundle {
  readonly trustDomain: string
  /** `spiffe_sequence`: grows with each change. */
  readonly version: number
  /** PEM, the one that signs last. */
  readonly roots: readonly string[]
}

/** How often readers are asked to come back: 5 min, the default of the specification. */
export const refreshHintSeconds = 300

/** The bundle as a JWKS document (SPIFFE Trust Domain and Bundle 4). */
export function bundleDocument(bundle: TrustBundle): string {
  const keys = bundle.roots.map(pem => {
    const { publicKey, raw } = new X509Certificate(pem)
    return { use: 'x509-svid', ...publicKey.export({ format: 'jwk' }), x5c: [raw.toString('base64')] }
  })
  return JSON.stringify({ keys, spiffe_sequence: bundle.version, spiffe_refresh_hint: refreshHintSeconds })
}
