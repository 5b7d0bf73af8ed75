import { resolveHost } from '../model/host.ts'
import type { Destination } from '../model/virtual-service.ts'
import { readHost, readLabelName, readPort } from './names.ts'
import type { Value } from './value.ts'

/** Reads a Destination; its host becomes the full name as seen from `namespace`. */
export function readDestination(value: Value, namespace: string): Destination | undefined {
  if (value.isAbsent) return undefined
  const { host, subset, port } = value.fields('host', 'subset', 'port')
  const name = readHost(host)
  if (name === '*') host.error('must name a host')
  const subsetName = subset.asString() === '' ? '' : readLabelName(subset)
  const number = port.isAbsent ? undefined : readPort(port.fields('number').number.required())
  return name === undefined ? undefined : { host: resolveHost(name, namespace), subset: subsetName ?? '', port: number }
}
