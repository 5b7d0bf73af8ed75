import type { AuthorizationPolicy } from './authorization-policy.ts'
import type { BoundRoute } from './bound-route.ts'
import type { DestinationRule } from './destination-rule.ts'
import type { ExtensionProvider } from './extension-provider.ts'
import type { MeshEndpoint, MeshService } from './mesh-service.ts'
import type { PeerAuthentication } from './peer-authentication.ts'
import type { RequestAuthentication } from './request-authentication.ts'
import type { VirtualService } from './virtual-service.ts'

/**
 * The whole mesh: what was written down and who registered, put together. Immutable, and what did not change from one model to the
 * next keeps its identity, so that only what changed is translated again.
 */
export interface MeshModel {
  readonly routing: MeshRouting
  /** By host of the service, for each service. */
  readonly endpoints: ReadonlyMap<string, readonly MeshEndpoint[]>
}

/** Everything but the endpoints. */
export interface MeshRouting {
  /** By host, in the order of the hosts. */
  readonly services: ReadonlyMap<string, MeshService>
  readonly virtualServices: readonly VirtualService[]
  readonly boundRoutes: readonly BoundRoute[]
  readonly destinationRules: readonly DestinationRule[]
  readonly peerAuthentications: readonly PeerAuthentication[]
  /** By name. */
  readonly extensionProviders: ReadonlyMap<string, ExtensionProvider>
  readonly authorizationPolicies: readonly AuthorizationPolicy[]
  readonly requestAuthentications: readonly RequestAuthentication[]
}
