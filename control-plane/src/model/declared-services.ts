import type { KubernetesService } from './kubernetes.ts'
import type { MeshDocuments } from './mesh-documents.ts'
import type { MeshPort, MeshService } from './mesh-service.ts'
import { protocolOf, protocolOfPort } from './protocol.ts'
import { type ServiceEntry, selectedEntries, type WorkloadAddress, type WorkloadEntry } from './service-entry.ts'

/** The full name of a service of Kubernetes. */
export const serviceHost = (name: string, namespace: string): string => `${name}.${namespace}.svc.cluster.local`

/** The services that documents declare, by host. Of two for one host the first gives the rest, and the second adds its ports and accounts. */
export function declaredServices({
  services,
  serviceEntries,
  workloadEntries,
}: Pick<MeshDocuments, 'services' | 'serviceEntries' | 'workloadEntries'>): ReadonlyMap<string, MeshService> {
  const found = new Map<string, MeshService>()
  const add = (service: MeshService) => {
    const known = found.get(service.host)
    const more = service.ports.filter(({ number }) => !known?.ports.some(port => port.number === number))
    const accounts = [...new Set([...(known?.serviceAccounts ?? []), ...service.serviceAccounts])]
    found.set(service.host, known ? { ...known, ports: [...known.ports, ...more], serviceAccounts: accounts } : service)
  }
  for (const service of services) add(fromKubernetes(service, workloadEntries))
  for (const entry of serviceEntries) {
    if (entry.resolution === 'dynamic-dns') continue
    for (const host of entry.hosts) add(fromServiceEntry(entry, host, workloadEntries))
  }
  return found
}

/** Who they run under, each once. */
const accountsOf = (workloads: readonly WorkloadAddress[]): readonly string[] => [
  ...new Set(workloads.flatMap(({ serviceAccount }) => (serviceAccount === '' ? [] : [serviceAccount]))),
]

function fromKubernetes(service: KubernetesService, workloadEntries: readonly WorkloadEntry[]): MeshService {
  const { meta, clusterIPs, ports, externalName, selector } = service
  return {
    host: serviceHost(meta.name, meta.namespace),
    name: meta.name,
    namespace: meta.namespace,
    hasShortNames: true,
    addresses: clusterIPs,
    subjectAltNames: [],
    serviceAccounts: selector ? accountsOf(selectedEntries(workloadEntries, meta, selector)) : [],
    external: externalName !== '',
    resolution: externalName === '' ? 'listed' : 'dns',
    ports: ports.flatMap(({ name, number, protocol, appProtocol, targetPort }): readonly MeshPort[] => {
      const spoken = protocol === 'TCP' ? protocolOfPort(appProtocol, name) : undefined
      return spoken ? [{ number, name, protocol: spoken, target: targetPort }] : []
    }),
  }
}

function fromServiceEntry(entry: ServiceEntry, host: string, workloadEntries: readonly WorkloadEntry[]): MeshService {
  const { meta, subjectAltNames, addresses, external, resolution, ports, endpoints, workloadSelector } = entry
  return {
    host,
    name: host,
    namespace: meta.namespace,
    hasShortNames: false,
    subjectAltNames,
    serviceAccounts: accountsOf(workloadSelector ? selectedEntries(workloadEntries, meta, workloadSelector) : endpoints),
    // A prefix names no single host.
    addresses: addresses.filter(address => !address.includes('/')),
    external,
    resolution: resolution === 'static' || resolution === 'dynamic-dns' ? 'listed' : resolution,
    ports: ports.flatMap(({ name, number, protocol, targetPort }): readonly MeshPort[] => {
      const spoken = protocolOf(protocol)
      return spoken ? [{ number, name, protocol: spoken, target: targetPort ?? number }] : []
    }),
  }
}
