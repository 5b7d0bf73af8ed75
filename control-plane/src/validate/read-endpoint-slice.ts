import type { EndpointSlice, SliceEndpoint } from '../model/kubernetes.ts'
import type { ObjectMeta } from '../model/object-meta.ts'
import { isAddress, readPort } from './names.ts'
import type { Value } from './value.ts'

/** Reads a `discovery.k8s.io/v1` EndpointSlice, which has no spec. */
export function readEndpointSlice(meta: ObjectMeta, root: Value): EndpointSlice {
  const fields = root.fields('apiVersion', 'kind', 'metadata', 'addressType', 'endpoints', 'ports')
  const addressType = fields.addressType.required().asOneOf(['IPv4', 'IPv6', 'FQDN'])
  if (addressType === 'FQDN') fields.addressType.error('FQDN is not supported; use a ServiceEntry with resolution DNS')
  const service = meta.labels['kubernetes.io/service-name'] ?? ''
  if (service === '')
    fields.metadata.field('labels').warn('has no kubernetes.io/service-name: the endpoints belong to no service')
  const ports = new Map<string, number>()
  for (const item of fields.ports.items()) {
    const port = item.required().fields('name', 'port', 'protocol', 'appProtocol')
    const number = readPort(port.port.required())
    port.protocol.asOneOf(['TCP', 'UDP', 'SCTP'])
    if (number !== undefined) ports.set(port.name.asString() ?? '', number)
  }
  return { meta, service, ports, endpoints: fields.endpoints.items().map(readEndpoint) }
}

function readEndpoint(value: Value): SliceEndpoint {
  const fields = value
    .required()
    .fields('addresses', 'conditions', 'zone', 'targetRef', 'hostname', 'nodeName', 'hints', 'deprecatedTopology')
  const { ready, serving, terminating } = fields.conditions.fields('ready', 'serving', 'terminating')
  serving.asBoolean()
  terminating.asBoolean()
  const addresses = fields.addresses.required().items().flatMap(readAddress)
  if (addresses.length === 0 && !fields.addresses.isAbsent) fields.addresses.error('must not be empty')
  const kind = fields.targetRef.field('kind').asString()
  const name = fields.targetRef.field('name').asString()
  return {
    addresses,
    ready: ready.asBoolean() ?? true,
    zone: fields.zone.asString() ?? '',
    target: kind && name ? `${kind}/${name}` : '',
  }
}

function readAddress(value: Value): readonly string[] {
  const address = value.required().asString() ?? ''
  if (!isAddress(address)) value.error(`must be an IP address, got ${JSON.stringify(address)}`)
  return [address]
}
