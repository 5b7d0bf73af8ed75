import { isIP } from 'node:net'
import type { JsonObject, JsonValue } from '@bufbuild/protobuf'
import type { Node } from 'inmesh/gen/envoy/config/core/v3/base_pb'
import type { RegisteredWorkload } from './registered-workload.ts'

/** What a node's metadata says about the services it offers. */
export interface Registration {
  readonly workloads: readonly RegisteredWorkload[]
  /** One line for each entry that was refused, naming the field. */
  readonly problems: readonly string[]
}

const maxEndpoints = 64
const maxLabels = 64
const protocols = new Set(['http', 'http2', 'https', 'grpc', 'grpc-web', 'tcp', 'tls'])
/** A DNS name of RFC 1123 labels, which a service name and a namespace must be. */
const dnsName = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/
/** A label key of Kubernetes: an optional DNS prefix and a name. */
const labelKey = /^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/
const labelValue = /^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/

/**
 * Reads `INMESH_ENDPOINTS`, `NAMESPACE` and `LABELS` of a node's metadata and its locality. A bad endpoint is refused alone; the
 * others count. Who has a certificate offers the service that it is for, `spiffe://TD/ns/NAMESPACE/sa/SERVICE`, and no other.
 *
 * @param identity SPIFFE ID of the client's certificate; `undefined` in plaintext
 */
export function readRegistration(node: Node | undefined, identity?: string): Registration {
  const metadata: JsonObject = node?.metadata ?? {}
  const listed = own(metadata, 'INMESH_ENDPOINTS')
  if (listed === undefined || listed === null) return { workloads: [], problems: [] }
  const problems: string[] = []
  if (!node?.id) problems.push('node.id: a workload that registers must have one')
  if (!Array.isArray(listed)) problems.push('INMESH_ENDPOINTS: must be a list')
  else if (listed.length > maxEndpoints)
    problems.push(`INMESH_ENDPOINTS: has ${listed.length} entries, at most ${maxEndpoints} count`)
  const namespace = own(metadata, 'NAMESPACE') ?? 'default'
  if (typeof namespace !== 'string' || !dnsName.test(namespace)) problems.push(`NAMESPACE: ${show(namespace)} is not a DNS label`)
  if (problems.length > 0 || !node || !Array.isArray(listed) || typeof namespace !== 'string') return { workloads: [], problems }

  const { region = '', zone = '', subZone = '' } = node.locality ?? {}
  const shared = { namespace, labels: readLabels(own(metadata, 'LABELS'), problems), locality: { region, zone, subZone } }
  const workloads = new Map<string, RegisteredWorkload>()
  for (const [index, entry] of listed.entries()) {
    const path = `INMESH_ENDPOINTS[${index}]`
    const endpoint = readEndpoint(entry, path, problems)
    if (!endpoint) continue
    if (identity !== undefined && !isOf(identity, namespace, endpoint.service)) {
      problems.push(`${path}.service: ${endpoint.service} in ${namespace} is not what ${identity} is`)
      continue
    }
    const id = `${node.id}/${endpoint.service}/${endpoint.port}`
    if (workloads.has(id)) problems.push(`${path}: ${endpoint.service} at port ${endpoint.port} is there twice`)
    else workloads.set(id, { id, ...endpoint, ...shared, ...(identity === undefined ? {} : { identity }) })
  }
  return { workloads: [...workloads.values()], problems }
}

function isOf(identity: string, namespace: string, service: string): boolean {
  return identity.endsWith(`/ns/${namespace}/sa/${service}`) && identity.split('/').length === 7
}

type Endpoint = Pick<RegisteredWorkload, 'service' | 'address' | 'port' | 'protocol' | 'weight'>

function readEndpoint(entry: JsonValue, path: string, problems: string[]): Endpoint | undefined {
  const before = problems.length
  if (!isObject(entry)) {
    problems.push(`${path}: must be an object`)
    return undefined
  }
  const service = own(entry, 'service')
  const address = own(entry, 'address')
  const port = own(entry, 'port')
  const protocol = own(entry, 'protocol') ?? 'http'
  const weight = own(entry, 'weight') ?? 1
  if (typeof service !== 'string' || !dnsName.test(service)) problems.push(`${path}.service: ${show(service)} is not a DNS name`)
  if (typeof address !== 'string' || isIP(address) === 0 || address.includes('%')) {
    problems.push(`${path}.address: ${show(address)} is not an IP address`)
  } else if (address === '0.0.0.0' || address === '::') problems.push(`${path}.address: ${address} is no address to connect to`)
  if (!isWhole(port, 1, 65_535)) problems.push(`${path}.port: ${show(port)} is not a port`)
  if (typeof protocol !== 'string' || !protocols.has(protocol)) problems.push(`${path}.protocol: ${show(protocol)} is unknown`)
  if (!isWhole(weight, 1, 65_535)) problems.push(`${path}.weight: ${show(weight)} is not a whole number from 1 to 65535`)
  if (problems.length > before) return undefined
  return {
    service: String(service),
    address: String(address),
    port: Number(port),
    protocol: String(protocol),
    weight: Number(weight),
  }
}

function readLabels(value: JsonValue | undefined, problems: string[]): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return {}
  if (!isObject(value)) {
    problems.push('LABELS: must be an object')
    return {}
  }
  const entries = Object.entries(value)
  if (entries.length > maxLabels) problems.push(`LABELS: has ${entries.length} labels, at most ${maxLabels} count`)
  const good = entries.slice(0, maxLabels).filter(([key, text]) => {
    const fine = labelKey.test(key) && typeof text === 'string' && labelValue.test(text) && key !== '__proto__'
    if (!fine) problems.push(`LABELS: ${show(key)}: ${show(text)} is not a label`)
    return fine
  })
  return Object.fromEntries(good.map(([key, text]) => [key, String(text)]))
}

function own(object: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isWhole(value: JsonValue | undefined, least: number, most: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
}

/** A value as it may stand in a log line: short, and on one line. */
function show(value: JsonValue | undefined): string {
  return JSON.stringify(value)?.slice(0, 80) ?? 'nothing'
}
