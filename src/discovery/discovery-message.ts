/** Which of the two protocols a stream speaks: state of the world, or incremental. */
export type XdsProtocol = 'sotw' | 'delta'

/** What goes to the server. `refusal` is the text of a NACK; the node is added by the stream, to its first request. */
export type AdsRequest = SotwRequest | DeltaRequest

/** `DiscoveryRequest`. */
export interface SotwRequest {
  readonly protocol: 'sotw'
  readonly typeUrl: string
  /** Of the last response that was accepted; empty at first. */
  readonly version: string
  /** Of the response that this answers; empty when it answers none of this stream. */
  readonly nonce: string
  readonly refusal: string | undefined
  /** All that is subscribed. */
  readonly names: readonly string[]
}

/** `DeltaDiscoveryRequest`. */
export interface DeltaRequest {
  readonly protocol: 'delta'
  readonly typeUrl: string
  readonly nonce: string
  readonly refusal: string | undefined
  readonly subscribe: readonly string[]
  readonly unsubscribe: readonly string[]
  /** What the client has already; only in the first request of a type on a stream. */
  readonly initialVersions: Readonly<Record<string, string>>
}

/** `DiscoveryResponse` or `DeltaDiscoveryResponse`. */
export interface AdsResponse {
  readonly typeUrl: string
  /** `version_info` or `system_version_info`. */
  readonly version: string
  readonly nonce: string
  readonly resources: readonly WireResource[]
  /** Only delta: names that do not exist. */
  readonly removed: readonly string[]
  /** `resource_errors` (gRFC A88): why a resource is not there. */
  readonly errors: readonly WireResourceError[]
}

/** A resource as it arrives, out of its `Resource` wrapper if it had one. */
export interface WireResource {
  /** Empty when it stands only in the resource itself. */
  readonly name: string
  readonly version: string
  readonly typeUrl: string
  readonly bytes: Uint8Array
}

/** `ResourceError`. */
export interface WireResourceError {
  readonly name: string
  /** A gRPC status code. */
  readonly code: number
  readonly message: string
}
