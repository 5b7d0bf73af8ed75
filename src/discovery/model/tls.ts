import type { StringMatcher } from '../../policies/string-matcher.ts'

/** Where the own certificate and key come from. */
export type CertificateSource =
  /** The identity of the workload, renewed as it goes: a certificate provider of the bootstrap (gRFC A29), or Istio's secret `default`. */
  | { readonly kind: 'provider'; readonly instance: string }
  /** Given with the configuration. PEM. */
  | { readonly kind: 'inline'; readonly certificateChain: string; readonly privateKey: PrivateKeyText }

/** Where the roots come from that a peer is verified against. */
export type TrustSource =
  /** The trust bundles of the workload: a certificate provider of the bootstrap, or Istio's secret `ROOTCA`. */
  | { readonly kind: 'provider'; readonly instance: string }
  /** PEM. */
  | { readonly kind: 'inline'; readonly ca: string }
  /** The roots that Node brings. */
  | { readonly kind: 'system' }

/** `SubjectAltNameMatcher`. */
export interface SubjectAltNameMatcher {
  readonly type: 'any' | 'dns' | 'uri' | 'email' | 'ip'
  readonly matcher: StringMatcher
}

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3'

/** The instance that stands for the identity of this workload where none is named. */
export const workloadIdentity = 'default'

/** A private key in PEM which is shown nowhere: not by JSON, not by `util.inspect`, not as text. */
export class PrivateKeyText {
  readonly #pem: string

  constructor(pem: string) {
    this.#pem = pem
  }

  /** The key itself, for whoever sets up TLS. */
  reveal(): string {
    return this.#pem
  }

  toString(): string {
    return '[private key]'
  }

  toJSON(): string {
    return '[private key]'
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[private key]'
  }
}
