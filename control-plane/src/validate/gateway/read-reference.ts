import type { Destination } from '../../model/virtual-service.ts'
import { isLabel, readHost, readPort } from '../names.ts'
import type { Value } from '../value.ts'
import { readNamespace } from './read-parents.ts'

/** The fields by which a backend is named. */
export const referenceFields = ['group', 'kind', 'namespace', 'name', 'port'] as const

/** Reads the `backendRef` of a mirror. */
export function readBackend(value: Value, namespace: string): Destination | undefined {
  return value.isAbsent ? undefined : readReference(value.fields(...referenceFields), namespace)
}

/** Reads a reference to a Service, or to a host of a ServiceEntry as Istio's kind Hostname. Whether it exists shows when it is called. */
export function readReference(
  fields: Readonly<Record<(typeof referenceFields)[number], Value>>,
  namespace: string,
): Destination | undefined {
  const group = fields.group.asString() ?? ''
  const kind = fields.kind.asString() ?? 'Service'
  const inNamespace = readNamespace(fields.namespace)
  const port = readPort(fields.port.required())
  if (group === 'networking.istio.io' && kind === 'Hostname') {
    if (inNamespace !== undefined) fields.namespace.error('is not for the kind Hostname, which has none')
    const host = readHost(fields.name)
    if (host?.startsWith('*')) fields.name.error('must name a host')
    return host === undefined ? undefined : { host, subset: '', port }
  }
  const name = fields.name.required().asString()
  if (group !== '' || kind !== 'Service') {
    fields.kind.error(
      `must be a Service, or a Hostname of networking.istio.io, got ${group === '' ? kind : `${kind} of ${group}`}`,
    )
    return undefined
  }
  if (name === undefined) return undefined
  if (!isLabel(name)) fields.name.error(`must be the name of a Service, not a host: ${JSON.stringify(name)}`)
  return { host: `${name}.${inNamespace ?? namespace}.svc.cluster.local`, subset: '', port }
}
