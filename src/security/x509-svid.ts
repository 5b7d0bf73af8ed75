import type { KeyObject, X509Certificate } from 'node:crypto'

/** A workload's certificate and key (SPIFFE X509-SVID). */
export interface X509Svid {
  /** `spiffe://trust-domain/path` */
  readonly spiffeId: string
  readonly trustDomain: string
  /** Leaf first. */
  readonly certificateChain: readonly X509Certificate[]
  readonly privateKey: KeyObject
}
