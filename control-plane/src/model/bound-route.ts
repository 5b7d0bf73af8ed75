import type { GatewayRoute } from './gateway-route.ts'
import type { MeshDocuments } from './mesh-documents.ts'

/** A route of the Gateway API and one host that it rules. */
export interface BoundRoute {
  /** Full name. */
  readonly host: string
  /** `undefined` for every port. */
  readonly port: number | undefined
  /** Empty for every port. */
  readonly portName: string
  readonly route: GatewayRoute
}

/** Every route with every host that it is bound to, in the order of age. A ServiceEntry that is not there has no hosts. */
export function boundRoutes({
  gatewayRoutes,
  serviceEntries,
}: Pick<MeshDocuments, 'gatewayRoutes' | 'serviceEntries'>): readonly BoundRoute[] {
  return gatewayRoutes.flatMap(route =>
    route.parents.flatMap(({ kind, name, namespace, port, portName }) => {
      const entry = serviceEntries.find(({ meta }) => meta.name === name && meta.namespace === namespace)
      const hosts = kind === 'service' ? [`${name}.${namespace}.svc.cluster.local`] : (entry?.hosts ?? [])
      return hosts.map(host => ({ host, port, portName, route }))
    }),
  )
}
