import type { X509Certificate } from 'node:crypto'

/** The roots of one trust domain. None at all means that nobody of it is trusted. */
export interface TrustBundle {
  readonly trustDomain: string
  readonly authorities: readonly X509Certificate[]
  /** `spiffe_sequence`, where the source counts. */
  readonly sequence: bigint | undefined
}

/** By trust domain. Bundles are never merged. */
export type TrustBundles = ReadonlyMap<string, TrustBundle>
