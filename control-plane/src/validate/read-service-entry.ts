import { isIP } from 'node:net'
import type { ObjectMeta } from '../model/object-meta.ts'
import type { ServiceEntry, ServiceEntryPort, WorkloadAddress, WorkloadEntry } from '../model/service-entry.ts'
import { checkExportTo } from './export-to.ts'
import { domainFault, isAddress, isLabel, readHost, readLabels, readPort } from './names.ts'
import type { Value } from './value.ts'

const resolutions = {
  NONE: 'none',
  STATIC: 'static',
  DNS: 'dns',
  DNS_ROUND_ROBIN: 'dns-round-robin',
  DYNAMIC_DNS: 'dynamic-dns',
} as const
const protocols = /^(http|https|http2|http_proxy|grpc|grpc-web|tcp|tls|udp|mongo|redis|mysql)?$/i
const httpOrTls = /^(http|https|http2|http_proxy|grpc|grpc-web|tls)$/i

/** Reads the spec of a ServiceEntry. */
export function readServiceEntry(meta: ObjectMeta, spec: Value): ServiceEntry {
  const fields = spec
    .required()
    .fields(
      'hosts',
      'addresses',
      'ports',
      'location',
      'resolution',
      'endpoints',
      'workloadSelector',
      'exportTo',
      'subjectAltNames',
    )
  const resolution = resolutions[fields.resolution.asOneOf(['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS']) ?? 'NONE']
  const hosts = readHosts(fields.hosts, resolution, !fields.endpoints.isAbsent)
  const addresses = fields.addresses.items().map(item => readSubnet(item, resolution))
  const ports = readPorts(fields.ports)
  const names = new Set(ports.map(({ name }) => name))
  const endpoints = fields.endpoints.items().map(item => readEndpoint(item, names, resolution))
  if (!fields.workloadSelector.isAbsent && !fields.endpoints.isAbsent) fields.endpoints.error('excludes workloadSelector')
  if (resolution === 'none' && endpoints.length > 0) fields.endpoints.error('needs resolution STATIC or DNS')
  if (resolution === 'dns-round-robin' && endpoints.length > 1) fields.endpoints.error('must be one at most for DNS_ROUND_ROBIN')
  if (resolution === 'dynamic-dns') checkDynamic(fields)
  if (resolution !== 'none' && hosts.length > 1 && ports.some(({ protocol }) => !httpOrTls.test(protocol)))
    spec.error('has several hosts, which can only be told apart on HTTP and TLS ports')
  checkExportTo(fields.exportTo, meta.namespace, true)
  const subjectAltNames = fields.subjectAltNames.items().map(item => item.asString() ?? '')
  return {
    meta,
    hosts,
    addresses,
    external: fields.location.asOneOf(['MESH_EXTERNAL', 'MESH_INTERNAL']) !== 'MESH_INTERNAL',
    resolution,
    ports,
    endpoints,
    workloadSelector: fields.workloadSelector.isAbsent
      ? undefined
      : readSelector(fields.workloadSelector.fields('labels').labels, fields.workloadSelector),
    subjectAltNames,
  }
}

/** Such an entry says nothing but names, on ports where callers say them. */
function checkDynamic({ resolution, addresses, endpoints, ports }: Readonly<Record<DynamicField, Value>>): void {
  resolution.warn('has no effect: calls to the hosts go straight through')
  for (const each of [addresses, endpoints]) if (each.items().length > 0) each.error('must not be given for DYNAMIC_DNS')
  for (const item of ports.items()) {
    const protocol = item.field('protocol')
    if (!/^(http|tls|grpc|http2)$/i.test(protocol.asString() ?? ''))
      (protocol.isAbsent ? item : protocol).error('must be HTTP, HTTP2, GRPC or TLS for DYNAMIC_DNS')
  }
}

type DynamicField = 'resolution' | 'addresses' | 'endpoints' | 'ports'

/** Reads the spec of a WorkloadEntry. */
export function readWorkloadEntry(meta: ObjectMeta, spec: Value): WorkloadEntry {
  return { meta, ...readEndpoint(spec.required(), undefined, 'dns') }
}

function readHosts(value: Value, resolution: ServiceEntry['resolution'], hasEndpoints: boolean): readonly string[] {
  const items = value.required().items()
  if (!value.isAbsent && items.length === 0) value.error('must not be empty')
  return items.flatMap(item => {
    const host = readHost(item)
    if (host === undefined) return []
    const isWildcard = host.startsWith('*')
    if (host === '*') item.error('must not be * alone')
    else if (isWildcard && resolution.startsWith('dns') && !hasEndpoints) item.error('cannot be looked up: it is a wildcard')
    else if (resolution.startsWith('dns') && !hasEndpoints && domainFault(host)) item.error(domainFault(host) ?? '')
    else if (!isWildcard && resolution === 'dynamic-dns') item.error('must be a wildcard for DYNAMIC_DNS')
    else if (isWildcard) item.warn('reaches Envoy alone: the SDK asks for hosts by their names')
    return [host]
  })
}

function readSubnet(value: Value, resolution: ServiceEntry['resolution']): string {
  const text = value.asString() ?? ''
  const [address = '', bits, ...rest] = text.split('/')
  const width = isIP(address) === 6 ? 128 : 32
  const isPrefix = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= width)
  if (!isAddress(address) || !isPrefix || rest.length > 0)
    value.error(`must be an IP address or prefix, got ${JSON.stringify(text)}`)
  else if (bits !== undefined && resolution !== 'none' && resolution !== 'static')
    value.error('may be a prefix only for resolution NONE and STATIC')
  return text
}

function readPorts(value: Value): readonly ServiceEntryPort[] {
  const names = new Set<string>()
  const numbers = new Set<number>()
  return value.items().flatMap(item => {
    const fields = item.required().fields('number', 'name', 'protocol', 'targetPort')
    const number = readPort(fields.number.required())
    const name = fields.name.required().asString() ?? ''
    const protocol = fields.protocol.asString() ?? ''
    const targetPort = readPort(fields.targetPort)
    if (!fields.name.isAbsent && !isLabel(name)) fields.name.error(`is not a port name: ${JSON.stringify(name)}`)
    if (!protocols.test(protocol)) fields.protocol.error(`is unknown: ${JSON.stringify(protocol)}`)
    if (names.has(name) && name !== '') fields.name.error(`${name} is there twice`)
    if (number !== undefined && numbers.has(number)) fields.number.error(`${number} is there twice`)
    names.add(name)
    if (number === undefined) return []
    numbers.add(number)
    return [{ name, number, protocol, targetPort }]
  })
}

function readEndpoint(
  value: Value,
  portNames: ReadonlySet<string> | undefined,
  resolution: ServiceEntry['resolution'],
): WorkloadAddress {
  const fields = value.required().fields('address', 'ports', 'labels', 'network', 'locality', 'weight', 'serviceAccount')
  const address = fields.address.asString() ?? ''
  const network = fields.network.asString() ?? ''
  if (address === '' && network === '') fields.address.error('is required')
  else if (network !== '') fields.network.warn('has no effect: everybody is reached directly')
  else if (address.startsWith('unix://')) fields.address.error('is not supported: endpoints are reached over TCP')
  else if (!isAddress(address)) {
    const fault =
      resolution === 'static'
        ? `must be an IP address for resolution STATIC, got ${JSON.stringify(address)}`
        : domainFault(address)
    if (fault) fields.address.error(fault)
  }
  const ports = new Map<string, number>()
  for (const [name, item] of fields.ports.entries()) {
    const port = readPort(item.required())
    if (portNames && !portNames.has(name)) item.error(`is not a port of the service: ${JSON.stringify(name)}`)
    else if (!isLabel(name)) item.error(`is not a port name: ${JSON.stringify(name)}`)
    if (port !== undefined) ports.set(name, port)
  }
  return {
    address: address.toLowerCase(),
    ports,
    labels: readLabels(fields.labels),
    locality: fields.locality.asString() ?? '',
    serviceAccount: fields.serviceAccount.asString() ?? '',
    weight: fields.weight.asInteger(0, 0xffff_ffff) || undefined,
  }
}

function readSelector(value: Value, parent: Value): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {}
  for (const [key, item] of value.entries()) {
    labels[key] = item.asString() ?? ''
    if (key === '' || `${key}${labels[key]}`.includes('*')) item.error('must have a key, and no *')
  }
  if (Object.keys(labels).length === 0) parent.warn('has no labels and selects every workload of the namespace')
  return labels
}
