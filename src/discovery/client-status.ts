import type { ResourceDump } from './resource-status.ts'
import type { XdsNode } from './xds-node.ts'

/** What a process received from its control planes, for the client status discovery service (CSDS, gRFC A40). */
export interface ClientStatus {
  readonly node: XdsNode
  /** A resource that several use is in each of theirs. */
  readonly scopes: readonly ClientStatusScope[]
}

/** What one user of the configuration received: a target of gRPC, or `#server`. */
export interface ClientStatusScope {
  readonly scope: string
  readonly resources: readonly TypedResourceDump[]
}

/** A {@link ResourceDump} with its type. */
export interface TypedResourceDump extends ResourceDump {
  readonly typeUrl: string
}

/** Who can tell of itself. */
export interface ClientStatusSource {
  clientStatus(): ClientStatus
}
