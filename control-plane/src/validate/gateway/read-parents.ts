import type { GatewayParent } from '../../model/gateway-route.ts'
import type { ObjectMeta } from '../../model/object-meta.ts'
import { isLabel, readPort } from '../names.ts'
import type { Value } from '../value.ts'
import { checkCount } from './check-count.ts'

/** Most parents of a route. */
const maxParents = 32

/** The groups and kinds whose calls a route can rule. */
const kinds: Readonly<Record<string, GatewayParent['kind']>> = {
  '/Service': 'service',
  'networking.istio.io/ServiceEntry': 'service-entry',
}

/** Reads `parentRefs`. Parents of other kinds, gateways above all, are named in a warning and left out. */
export function readParents(value: Value, { namespace }: ObjectMeta): readonly GatewayParent[] {
  checkCount(value, maxParents)
  const parents = value.items().flatMap(item => readParent(item, namespace) ?? [])
  if (value.items().length === 0) value.required().warn('names no service, and so the route has no effect')
  return parents
}

function readParent(value: Value, namespace: string): GatewayParent | undefined {
  const fields = value.required().fields('group', 'kind', 'namespace', 'name', 'sectionName', 'port')
  const group = fields.group.asString() ?? 'gateway.networking.k8s.io'
  const kindName = fields.kind.asString() ?? 'Gateway'
  const name = fields.name.required().asString() ?? ''
  const kind = kinds[`${group}/${kindName}`]
  const port = readPort(fields.port)
  const portName = fields.sectionName.asString() ?? ''
  const parentNamespace = readNamespace(fields.namespace) ?? namespace
  if (kind === undefined) {
    value.warn(`has no effect here: calls are ruled by their Service (group: "", kind: Service), not by ${kindName}`)
    return undefined
  }
  if (kind === 'service' && !fields.name.isAbsent && !isLabel(name))
    fields.name.error(`is not the name of a Service: ${JSON.stringify(name)}`)
  return { kind, name, namespace: parentNamespace, port, portName }
}

/** The namespace of what is referred to; `undefined` for the one of the route. */
export function readNamespace(value: Value): string | undefined {
  const namespace = value.asString()
  if (namespace !== undefined && !isLabel(namespace)) value.error(`is not a namespace: ${JSON.stringify(namespace)}`)
  return namespace
}
