import type { Node } from 'inmesh/gen/envoy/config/core/v3/base_pb'
import type { Clock } from '../runtime.ts'
import type { AdsStream } from './ads-stream.ts'
import type { ResponseContent } from './response-frame.ts'
import type { Snapshot } from './snapshot.ts'
import type { SubscriberIndex } from './subscriber-index.ts'

/** The two variants of the protocol. */
export type XdsProtocol = 'sotw' | 'delta'

/** The configuration one stream is served from; the same object for all clients that see the same. */
export interface View {
  readonly key: string
  readonly snapshot: Snapshot
  index(typeUrl: string): SubscriberIndex<AdsStream>
}

/** What a stream needs of its server. */
export interface AdsStreamHost {
  readonly clock: Clock
  /** Longest wait of listeners and routes for the ACK of the clusters they may refer to. */
  readonly orderTimeoutMs: number
  /** Longest wait of removals for the ACK of the routes that no longer need what is removed. */
  readonly removalTimeoutMs: number
  readonly maxResponseBytes: number
  readonly maxNamesPerStream: number
  /** Whether clients keep what they bring along for now, because this server does not know everything yet. */
  readonly settling: boolean
  /** The view of a client. `undefined` while there is no configuration at all. */
  open(stream: AdsStream, node: Node | undefined): View | undefined
  /** The client asks for more names. */
  demanded(view: View, typeUrl: string, names: readonly string[]): void
  /** The client asks for them no more. */
  released(view: View, typeUrl: string, names: readonly string[]): void
  /** Encodes a response; clients that get the same in the same push share the bytes. */
  encode(stream: AdsStream, view: View, typeUrl: string, content: ResponseContent): EncodedResponse
  refused(stream: AdsStream, typeUrl: string, detail: string): void
  /** Answering a request failed inside this server. */
  failed(stream: AdsStream, error: unknown): void
  closed(stream: AdsStream): void
}

/** The bytes of a response with the nonce inside. */
export interface EncodedResponse {
  readonly frame: Uint8Array
  readonly nonce: string
  readonly version: string
}
