import type { X509Certificate } from 'node:crypto'
import type { SecureContextOptions } from 'node:tls'
import type { PeerIdentity } from './grpc-call.ts'

/** How a server proves who it is and learns who its clients are. */
export interface ServerTls {
  /** The whole context, since a server merges nothing: key, chain, authorities, versions and options. */
  readonly context: SecureContextOptions
  /** Calls after each change of {@link context}. Returns the way to stop it. */
  onChange(listener: () => void): () => void
  /**
   * Who a client certificate names, once per connection. `undefined` when it does not count, which is the implementation's to log: the
   * connection goes on without an identity.
   */
  identify(certificate: X509Certificate, peer: string): PeerIdentity | undefined
  /** Whether an identity still counts: its certificate may have expired or been revoked since. Asked for each call. */
  accepts(identity: PeerIdentity): boolean
}
