import type { AuthorizationPolicy } from './authorization-policy.ts'
import type { DestinationRule } from './destination-rule.ts'
import type { MeshConfig } from './extension-provider.ts'
import type { GatewayRoute } from './gateway-route.ts'
import type { EndpointSlice, KubernetesService } from './kubernetes.ts'
import type { PeerAuthentication } from './peer-authentication.ts'
import type { RequestAuthentication } from './request-authentication.ts'
import type { ServiceEntry, WorkloadEntry } from './service-entry.ts'
import type { VirtualService } from './virtual-service.ts'

/** Everything an operator wrote, decoded and validated. Each list is in the order of age. */
export interface MeshDocuments {
  readonly virtualServices: readonly VirtualService[]
  readonly gatewayRoutes: readonly GatewayRoute[]
  readonly destinationRules: readonly DestinationRule[]
  readonly serviceEntries: readonly ServiceEntry[]
  readonly workloadEntries: readonly WorkloadEntry[]
  readonly services: readonly KubernetesService[]
  readonly endpointSlices: readonly EndpointSlice[]
  readonly meshConfigs: readonly MeshConfig[]
  readonly authorizationPolicies: readonly AuthorizationPolicy[]
  readonly peerAuthentications: readonly PeerAuthentication[]
  readonly requestAuthentications: readonly RequestAuthentication[]
}

/** Nothing. */
export const noDocuments: MeshDocuments = {
  virtualServices: [],
  gatewayRoutes: [],
  destinationRules: [],
  serviceEntries: [],
  workloadEntries: [],
  services: [],
  endpointSlices: [],
  meshConfigs: [],
  authorizationPolicies: [],
  peerAuthentications: [],
  requestAuthentications: [],
}
