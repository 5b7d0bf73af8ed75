import { resolveHost } from '../model/host.ts'
import { isLabel, readPort } from './names.ts'
import type { Value } from './value.ts'

/** The services whose callers a route is for. */
export interface Parents {
  /** Full names. */
  readonly hosts: readonly string[]
  /** `undefined`: every port. */
  readonly port: number | undefined
}

/** Reads `parentRefs`, of which only services count (GAMMA). */
export function readParents(value: Value, namespace: string, spec: Value): Parents {
  const parents = value.items().flatMap(item => readParent(item, namespace) ?? [])
  if (parents.length === 0) spec.warn('has no effect: none of its parents is a Service')
  const ports = new Set(parents.map(({ port }) => port))
  if (ports.size > 1) value.error('with different ports are not supported: write a route for each')
  const [port] = ports
  return { hosts: parents.map(({ host }) => host), port }
}

/** Inside the mesh nobody goes by the `Host` of a call. */
export function warnOfHostnames(value: Value): void {
  if (value.items().length > 0) value.warn('has no effect: calls inside the mesh go by the service')
}

function readParent(value: Value, namespace: string): { readonly host: string; readonly port: number | undefined } | undefined {
  const fields = value.required().fields('group', 'kind', 'namespace', 'name', 'sectionName', 'port')
  const kind = fields.kind.asString() ?? 'Gateway'
  const group = fields.group.asString() ?? 'gateway.networking.k8s.io'
  const name = fields.name.required().asString() ?? ''
  if (kind !== 'Service' || group !== '') return undefined
  if (!isLabel(name)) fields.name.error(`is not the name of a service: ${JSON.stringify(name)}`)
  const own = fields.namespace.asString() ?? namespace
  if (own !== namespace) fields.namespace.error('is another one: routes for callers alone are not supported')
  if (!fields.sectionName.isAbsent) fields.sectionName.error('is not supported: name the port')
  return { host: resolveHost(name, own), port: fields.port.isAbsent ? undefined : readPort(fields.port) }
}
