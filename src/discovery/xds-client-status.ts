import type { XdsProtocol } from './discovery-message.ts'
import type { ResourceKind } from './resource-type.ts'

/** What an operator may want to hear of. */
export type XdsClientEvent =
  | { readonly kind: 'connected' }
  | { readonly kind: 'disconnected'; readonly message: string }
  | { readonly kind: 'nack'; readonly typeUrl: string; readonly version: string; readonly message: string }

/** How one type of resource stands. */
export interface XdsTypeStatus {
  readonly version: string
  readonly nonce: string
  /** What was wrong with the last response; `undefined` when it was accepted. */
  readonly refusal: string | undefined
  /** Names asked for. */
  readonly subscribed: number
}

/** How the client stands with its server. */
export interface XdsClientStatus {
  readonly server: string
  readonly protocol: XdsProtocol
  readonly connected: boolean
  /** Wall-clock time in milliseconds since when there is no stream; `undefined` while there is one. */
  readonly disconnectedSince: number | undefined
  /** Why the last stream failed; `undefined` once one works. */
  readonly lastError: string | undefined
  readonly types: Readonly<Record<ResourceKind, XdsTypeStatus>>
}

/** How the client stands with servers that serve authorities of their own (gRFC A47). */
export interface FederatedStatus extends XdsClientStatus {
  /** By the names of the bootstrap. */
  readonly authorities: readonly string[]
}
