import type { KubernetesService, KubernetesServicePort } from '../model/kubernetes.ts'
import type { ObjectMeta } from '../model/object-meta.ts'
import { domainFault, isAddress, isLabel, readLabels, readPort } from './names.ts'
import type { Value } from './value.ts'

/** Fields of a ServiceSpec that concern load balancers, nodes and kube-proxy, and nothing here. */
const elsewhere = [
  'allocateLoadBalancerNodePorts',
  'clusterIP',
  'externalIPs',
  'externalTrafficPolicy',
  'healthCheckNodePort',
  'internalTrafficPolicy',
  'ipFamilies',
  'ipFamilyPolicy',
  'loadBalancerClass',
  'loadBalancerIP',
  'loadBalancerSourceRanges',
  'sessionAffinity',
  'sessionAffinityConfig',
  'trafficDistribution',
] as const

/** Reads the spec of a Kubernetes `v1` Service. */
export function readKubernetesService(meta: ObjectMeta, spec: Value): KubernetesService {
  const fields = spec
    .required()
    .fields('selector', 'ports', 'type', 'clusterIPs', 'externalName', 'publishNotReadyAddresses', ...elsewhere)
  const type = fields.type.asOneOf(['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName']) ?? 'ClusterIP'
  const externalName = fields.externalName.asString()?.toLowerCase() ?? ''
  const fault = type === 'ExternalName' ? domainFault(externalName) : undefined
  if (fault) fields.externalName.error(fault)
  return {
    meta,
    selector: fields.selector.isAbsent ? undefined : readLabels(fields.selector),
    clusterIPs: readClusterIPs(fields.clusterIP, fields.clusterIPs),
    externalName: type === 'ExternalName' ? externalName : '',
    publishNotReadyAddresses: fields.publishNotReadyAddresses.asBoolean() ?? false,
    ports: readPorts(fields.ports, type === 'ExternalName'),
  }
}

function readClusterIPs(one: Value, all: Value): readonly string[] {
  const values = all.items().length > 0 ? all.items() : [one]
  return values.flatMap(value => {
    const text = value.asString() ?? ''
    if (text === '' || text === 'None') return []
    if (!isAddress(text)) value.error(`must be an IP address or None, got ${JSON.stringify(text)}`)
    return [text]
  })
}

function readPorts(value: Value, mayBeNone: boolean): readonly KubernetesServicePort[] {
  const items = value.items()
  if (items.length === 0 && !mayBeNone) value.error('must not be empty')
  const names = new Set<string>()
  const numbers = new Set<string>()
  return items.flatMap(item => {
    const fields = item.required().fields('name', 'port', 'protocol', 'appProtocol', 'targetPort', 'nodePort')
    const name = fields.name.asString() ?? ''
    const number = readPort(fields.port.required())
    const protocol = fields.protocol.asOneOf(['TCP', 'UDP', 'SCTP']) ?? 'TCP'
    if (items.length > 1 && name === '') item.error('needs a name, for there are several ports')
    if (name !== '' && !isLabel(name)) fields.name.error(`is not a port name: ${JSON.stringify(name)}`)
    if (names.has(name) && name !== '') fields.name.error(`${name} is there twice`)
    names.add(name)
    const targetPort = readTargetPort(fields.targetPort)
    if (number === undefined) return []
    if (numbers.has(`${number}/${protocol}`)) fields.port.error(`${number} is there twice`)
    numbers.add(`${number}/${protocol}`)
    return [{ name, number, protocol, appProtocol: fields.appProtocol.asString() ?? '', targetPort: targetPort ?? number }]
  })
}

/** An IntOrString. */
function readTargetPort(value: Value): number | string | undefined {
  if (value.isAbsent) return undefined
  return value.isString ? value.asString() : readPort(value)
}
