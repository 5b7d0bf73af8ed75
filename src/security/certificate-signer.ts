import type { X509Certificate } from 'node:crypto'
import type { WorkloadIdentity } from './certificate-provider.ts'

/** What a certificate authority answers. */
export interface SignedCertificate {
  /** Leaf first. */
  readonly chain: readonly X509Certificate[]
  /** Of the own trust domain. */
  readonly roots: readonly X509Certificate[]
}

/** A certificate authority that signs for this process. The private key stays here. */
export interface CertificateSigner {
  /**
   * @param csr PKCS#10, PEM
   * @param current the identity of now, to prove with; `undefined` for the first
   * @throws CertificateSignerError
   */
  sign(csr: string, current: WorkloadIdentity | undefined, signal: AbortSignal): Promise<SignedCertificate>
  close(): void
}

/** Nothing was signed. */
export class CertificateSignerError extends Error {
  override readonly name = 'CertificateSignerError'
  /** Asking again would not help. */
  readonly isFinal: boolean

  constructor(message: string, isFinal: boolean, options?: ErrorOptions) {
    super(message, options)
    this.isFinal = isFinal
  }
}
