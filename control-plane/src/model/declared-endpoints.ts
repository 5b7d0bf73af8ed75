import { serviceHost } from './declared-services.ts'
import type { EndpointSlice, KubernetesService } from './kubernetes.ts'
import type { MeshDocuments } from './mesh-documents.ts'
import { type MeshEndpoint, type MeshPort, type MeshService, parseLocality, withTopology } from './mesh-service.ts'
import { type ServiceEntry, selectedEntries, type WorkloadAddress, type WorkloadEntry } from './service-entry.ts'

/** The endpoints that documents declare, by host of the service, in the order of the documents. */
export function declaredEndpoints(
  documents: MeshDocuments,
  services: ReadonlyMap<string, MeshService>,
): ReadonlyMap<string, readonly MeshEndpoint[]> {
  const found = new Map<string, MeshEndpoint[]>()
  const add = (host: string, endpoints: readonly MeshEndpoint[]) => found.set(host, [...(found.get(host) ?? []), ...endpoints])
  for (const service of documents.services) {
    const host = serviceHost(service.meta.name, service.meta.namespace)
    add(host, ofKubernetesService(service, services.get(host)?.ports ?? [], documents))
  }
  for (const entry of documents.serviceEntries) {
    for (const host of entry.hosts)
      add(host, ofServiceEntry(entry, host, services.get(host)?.ports ?? [], documents.workloadEntries))
  }
  return found
}

function ofKubernetesService(
  service: KubernetesService,
  ports: readonly MeshPort[],
  { endpointSlices, workloadEntries }: MeshDocuments,
): readonly MeshEndpoint[] {
  const { meta, selector, externalName } = service
  if (externalName !== '') return [external(externalName, ports, `${meta.name};${meta.namespace}`)]
  const slices = endpointSlices.filter(slice => slice.service === meta.name && slice.meta.namespace === meta.namespace)
  const listed = slices.flatMap(slice => ofSlice(slice, ports, service.publishNotReadyAddresses))
  if (!selector) return listed
  const entries = selectedEntries(workloadEntries, meta, selector)
  return [...listed, ...entries.map(entry => ofWorkload(entry, ports, workloadName(entry)))]
}

function ofSlice(slice: EndpointSlice, ports: readonly MeshPort[], withUnready: boolean): readonly MeshEndpoint[] {
  const served = new Map(ports.flatMap(({ name, number }) => slicePort(slice, name, number)))
  // A slice says nothing of its pods' labels, so its own stand for them.
  const labels = Object.fromEntries(Object.entries(slice.meta.labels).filter(([key]) => !key.includes('kubernetes.io/')))
  return slice.endpoints.flatMap(({ addresses, ready, zone, target }) => {
    const [address] = addresses
    if (address === undefined || !(ready || withUnready)) return []
    const workload = `${target.split('/')[1] ?? slice.meta.name};${slice.meta.namespace}`
    const locality = { region: '', zone, subZone: '' }
    return [{ address, ports: served, labels: withTopology(labels, locality), locality, weight: 1, workload }]
  })
}

function slicePort(slice: EndpointSlice, name: string, number: number): readonly (readonly [number, number])[] {
  const target = slice.ports.get(name)
  return target === undefined ? [] : [[number, target]]
}

function ofServiceEntry(
  entry: ServiceEntry,
  host: string,
  ports: readonly MeshPort[],
  workloadEntries: readonly WorkloadEntry[],
): readonly MeshEndpoint[] {
  const { meta, endpoints, workloadSelector, resolution } = entry
  // Another entry may have added ports to the host; these endpoints serve their own.
  const own = ports.filter(port => entry.ports.some(({ number }) => number === port.number))
  if (workloadSelector) {
    const selected = selectedEntries(workloadEntries, meta, workloadSelector)
    return selected.map(each => ofWorkload(each, own, workloadName(each)))
  }
  const workload = `${meta.name};${meta.namespace}`
  if (endpoints.length === 0 && resolution !== 'static') return [external(host, own, workload)]
  return endpoints.filter(({ address }) => address !== '').map(each => ofWorkload(each, own, workload))
}

/** The endpoint that a name stands for. */
function external(host: string, ports: readonly MeshPort[], workload: string): MeshEndpoint {
  const address = { address: host, ports: new Map(), labels: {}, locality: '', serviceAccount: '', weight: undefined }
  return ofWorkload(address, ports, workload)
}

function ofWorkload(at: WorkloadAddress, ports: readonly MeshPort[], workload: string): MeshEndpoint {
  const served = new Map<number, number>()
  for (const { name, number, target } of ports) {
    const own = at.ports.get(name) ?? at.ports.get(String(target)) ?? target
    if (typeof own === 'number') served.set(number, own)
  }
  const locality = parseLocality(at.locality || labelledLocality(at.labels))
  return {
    address: at.address,
    ports: served,
    labels: withTopology(at.labels, locality),
    locality,
    weight: at.weight ?? 1,
    workload,
    ...(isDeclaredMutual(at) ? { isDeclaredMutual: true } : {}),
  }
}

/** Where a label says that it is; in labels, which have no slashes, dots stand for them. As in Istio. */
function labelledLocality(labels: Readonly<Record<string, string>>): string {
  const text = labels['topology.istio.io/locality'] ?? labels['istio-locality'] ?? ''
  return text.replaceAll('.', '/')
}

/** The label goes before the account, as in Istio. */
const isDeclaredMutual = ({ labels, serviceAccount }: WorkloadAddress) =>
  (labels['security.istio.io/tlsMode'] ?? (serviceAccount === '' ? '' : 'istio')) === 'istio'

const workloadName = ({ meta }: WorkloadEntry) => `${meta.name};${meta.namespace}`
