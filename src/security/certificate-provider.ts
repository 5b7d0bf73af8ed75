import type { TrustBundles } from './trust-bundle.ts'
import type { X509Svid } from './x509-svid.ts'

/** Who a workload is and whom it trusts. An immutable snapshot, replaced whole. */
export interface WorkloadIdentity {
  readonly svid: X509Svid
  readonly bundles: TrustBundles
}

/** Keeps an identity fresh. */
export interface CertificateProvider {
  /** `undefined` until there is a first good one, and never after. */
  readonly current: WorkloadIdentity | undefined
  /** Called on each change, not for the present value. Returns what ends the subscription. */
  subscribe(listener: (identity: WorkloadIdentity) => void): () => void
  close(): void
}
