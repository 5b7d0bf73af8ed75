import type { ResponseContent } from './response-frame.ts'
import type { EncodedResources } from './snapshot.ts'

/** What became of the last response of a type. */
export type Acknowledgement =
  /** Nothing was sent yet. */
  | { readonly state: 'none' }
  /** Sent, and neither accepted nor refused. */
  | { readonly state: 'waiting'; readonly version: string }
  | { readonly state: 'accepted'; readonly version: string }
  /** Refused; `detail` is the client's own text. */
  | { readonly state: 'refused'; readonly version: string; readonly detail: string }

/** How a request changed whom a subscription covers. */
export interface SubscriptionChange {
  /** False when the request was stale and nothing of it counted. */
  readonly current: boolean
  readonly added: readonly string[]
  readonly removed: readonly string[]
}

/** Limits of one response. */
export interface CollectOptions {
  /** Whether resources that vanished may leave the client now. */
  readonly removals: boolean
  /** Resources beyond this many bytes wait for the next response where the type allows partial ones. */
  readonly maxBytes: number
}

/** The state of one client for one type: what it asked for, what it was sent, what it is owed. No I/O and no time. */
export interface Subscription {
  readonly typeUrl: string
  /** Whether everything of the type is subscribed, by `*` or by the legacy empty request. */
  readonly wildcard: boolean
  /** Names subscribed to one by one, existing or not. */
  readonly names: ReadonlySet<string>
  /** Nonce of the last response; empty before the first. */
  readonly nonce: string
  readonly acknowledgement: Acknowledgement
  /** Whether a request of the client waits for an answer, which no earlier unacknowledged response holds up. */
  readonly urgent: boolean
  /** Whether {@link collect} may have something to send. */
  readonly pending: boolean
  /** Whether resources that vanished are still held by the client. */
  readonly leaving: boolean
  covers(name: string): boolean
  /** Notes that `name` may differ from what the client has. */
  markDirty(name: string): void
  /** Notes that the client needs `name` again, changed or not. */
  force(name: string): void
  /** Keeps what the client brought along on its stream until {@link release}. */
  hold(): void
  release(): void
  /** What must be sent now; `undefined` when nothing. What it returns counts as sent. */
  collect(resources: EncodedResources, options: CollectOptions): ResponseContent | undefined
  /** Notes the nonce of a response that is about to be written. */
  sent(nonce: string, version: string): void
}
