/** How a resource stands with its control plane: `envoy.admin.v3.ClientResourceStatus` (gRFCs A40 and A88). */
export type ResourceStatus = 'requested' | 'does-not-exist' | 'acked' | 'nacked' | 'received-error' | 'timeout'

/** The last update of a resource that failed, or why there is none: `envoy.admin.v3.UpdateFailureState`. */
export interface UpdateFailure {
  /** Of the update; empty when the control plane named none. */
  readonly version: string
  readonly details: string
  /** Wall-clock time in milliseconds; `undefined`: the control plane said nothing. */
  readonly at: number | undefined
}

/** All that is known of a resource, for people to read: what is in use, and what was last heard. */
export interface ResourceDump {
  readonly name: string
  readonly status: ResourceStatus
  /** The resource in use as it arrived, which need not be what was last heard of; `undefined`: none is. */
  readonly held: { readonly bytes: Uint8Array; readonly version: string } | undefined
  /** Wall-clock time in milliseconds of the last update that was accepted; `undefined`: none was. */
  readonly updatedAt: number | undefined
  readonly failure: UpdateFailure | undefined
}
