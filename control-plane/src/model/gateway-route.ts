import type { ObjectMeta } from './object-meta.ts'
import type { HttpRoute } from './virtual-service.ts'

/** `gateway.networking.k8s.io` HTTPRoute or GRPCRoute, as far as it is bound to services (GEP-1426). */
export interface GatewayRoute {
  readonly meta: ObjectMeta
  readonly type: 'http' | 'grpc'
  /** Without gateways, which are nobody's here. */
  readonly parents: readonly GatewayParent[]
  readonly rules: readonly GatewayRule[]
}

/** What calls a route rules. */
export interface GatewayParent {
  readonly kind: 'service' | 'service-entry'
  readonly name: string
  readonly namespace: string
  /** `undefined` for every port. */
  readonly port: number | undefined
  /** Name of the port, from `sectionName`; empty for every port. */
  readonly portName: string
}

/** One match of a rule, with all that the rule does. Rules of several routes are merged, and match by match. */
export interface GatewayRule {
  /** Of the rule in its route. */
  readonly index: number
  /** What comes first where several match: the first number that differs decides, and the greater one wins. */
  readonly precedence: readonly number[]
  /** With one match. */
  readonly route: HttpRoute
}
