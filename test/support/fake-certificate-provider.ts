import type { CertificateProvider, WorkloadIdentity } from '../../src/security/certificate-provider.ts'

/** A provider whose identity the test sets. */
export class FakeCertificateProvider implements CertificateProvider {
  current: WorkloadIdentity | undefined
  readonly #listeners = new Set<(identity: WorkloadIdentity) => void>()

  constructor(identity?: WorkloadIdentity) {
    this.current = identity
  }

  set(identity: WorkloadIdentity): void {
    this.current = identity
    for (const listener of [...this.#listeners]) listener(identity)
  }

  subscribe(listener: (identity: WorkloadIdentity) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  close(): void {}
}
