import type { KubernetesService } from './kubernetes.ts'
import type { MeshDocuments } from './mesh-documents.ts'
import type { MeshPort, MeshService } from './mesh-service.ts'
import { protocolOf, protocolOfPort } from './protocol.ts'
import type { ServiceEntry } from './service-entry.ts'

/** The full name of a service of Kubernetes. */
export const serviceHost = (name: string, namespace: string): string => `${name}.${namespace}.svc.cluster.local`

/** The services that documents declare, by host. Of two for one host the first gives the rest, and the second adds its ports. */
export function declaredServices({ services, serviceEntries }: MeshDocuments): ReadonlyMap<string, MeshService> {
  const found = new Map<string, MeshService>()
  const add = (service: MeshService) => {
    const known = found.get(service.host)
    const more = service.ports.filter(({ number }) => !known?.ports.some(port => port.number === number))
    found.set(service.host, known ? { ...known, ports: [...known.ports, ...more] } : service)
  }
  for (const service of services) add(fromKubernetes(service))
  for (const entry of serviceEntries) {
    if (entry.resolution === 'dynamic-dns') continue
    for (const host of entry.hosts) add(fromServiceEntry(entry, host))
  }
  return found
}

function fromKubernetes({ meta, clusterIPs, ports, externalName }: KubernetesService): MeshService {
  return {
    host: serviceHost(meta.name, meta.namespace),
    name: meta.name,
    namespace: meta.namespace,
    hasShortNames: true,
    addresses: clusterIPs,
    subjectAltNames: [],
    external: externalName !== '',
    resolution: externalName === '' ? 'listed' : 'dns',
    ports: ports.flatMap(({ name, number, protocol, appProtocol, targetPort }): readonly MeshPort[] => {
      const spoken = protocol === 'TCP' ? protocolOfPort(appProtocol, name) : undefined
      return spoken ? [{ number, name, protocol: spoken, target: targetPort }] : []
    }),
  }
}

function fromServiceEntry(
  { meta, subjectAltNames, addresses, external, resolution, ports }: ServiceEntry,
  host: string,
): MeshService {
  return {
    host,
    name: host,
    namespace: meta.namespace,
    hasShortNames: false,
    // A prefix names no single host.
    subjectAltNames,
    addresses: addresses.filter(address => !address.includes('/')),
    external,
    resolution: resolution === 'static' || resolution === 'dynamic-dns' ? 'listed' : resolution,
    ports: ports.flatMap(({ name, number, protocol, targetPort }): readonly MeshPort[] => {
      const spoken = protocolOf(protocol)
      return spoken ? [{ number, name, protocol: spoken, target: targetPort ?? number }] : []
    }),
  }
}
