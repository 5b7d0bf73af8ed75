import type { RegisteredWorkload } from '../registry/registered-workload.ts'
import { serviceHost } from './declared-services.ts'
import type { MeshDocuments } from './mesh-documents.ts'
import { type MeshEndpoint, type MeshPort, type MeshService, selects, withTopology } from './mesh-service.ts'
import { compareText } from './object-meta.ts'
import { protocolOf } from './protocol.ts'

/** What the registered workloads add to the mesh. */
export interface Registered {
  /** Services that no document declares, by host. */
  readonly services: ReadonlyMap<string, MeshService>
  /** By host of the service, in the order of the workloads' ids. */
  readonly endpoints: ReadonlyMap<string, readonly MeshEndpoint[]>
  /** Workloads that serve nothing: a document declares their service and selects others. */
  readonly orphans: readonly RegisteredWorkload[]
}

/** More instances than this on ports of their own, and nobody can be calling by the port. */
const maxImplicitPorts = 4

/** The port by which a service without declaration is called when the caller names none. */
const implicitPort = 80

/** Finds which services each registered workload serves. */
export class RegisteredEndpoints {
  readonly #documents: MeshDocuments
  readonly #declared: ReadonlyMap<string, MeshService>
  /** The declared services by what decides them: namespace, service and labels of the workload. */
  readonly #joined = new Map<string, readonly MeshService[]>()
  readonly #servicesOfWorkload = new WeakMap<RegisteredWorkload, readonly MeshService[]>()
  readonly #endpoints = new WeakMap<RegisteredWorkload, Map<string, MeshEndpoint>>()

  constructor(documents: MeshDocuments, declared: ReadonlyMap<string, MeshService>) {
    this.#documents = documents
    this.#declared = declared
  }

  /** Joins `workloads` to services. An endpoint keeps its identity as long as its workload does. */
  join(workloads: readonly RegisteredWorkload[]): Registered {
    const endpoints = new Map<string, MeshEndpoint[]>()
    const implicit = new Map<string, RegisteredWorkload[]>()
    const orphans: RegisteredWorkload[] = []
    for (const workload of [...workloads].sort((a, b) => compareText(a.id, b.id))) {
      const declared = this.#servicesOf(workload)
      for (const service of declared) {
        push(endpoints, service.host, this.#endpoint(workload, service.host, declaredPorts(service.ports, workload)))
      }
      if (declared.length > 0) continue
      const host = implicitHost(workload)
      if (this.#declared.has(host)) orphans.push(workload)
      else push(implicit, host, workload)
    }
    const services = new Map<string, MeshService>()
    for (const [host, instances] of implicit) {
      const service = implicitService(host, instances)
      services.set(host, service)
      for (const workload of instances) {
        const own = service.ports.filter(({ protocol }) => protocol === protocolOf(workload.protocol))
        const ports = own.map(({ number }) => number)
        push(endpoints, host, this.#endpoint(workload, host, ports))
      }
    }
    return { services, endpoints, orphans }
  }

  #servicesOf(workload: RegisteredWorkload): readonly MeshService[] {
    let known = this.#servicesOfWorkload.get(workload)
    if (!known) {
      known = this.#findServices(workload)
      this.#servicesOfWorkload.set(workload, known)
    }
    return known
  }

  /** A selector that fits, else the name where the declared service has neither selector nor endpoints of its own. */
  #findServices(workload: RegisteredWorkload): readonly MeshService[] {
    const labels = labelsOf(workload)
    const key = JSON.stringify([workload.namespace, workload.service, Object.entries(labels).sort()])
    let found = this.#joined.get(key)
    if (!found) {
      const hosts = [...this.#selecting(workload.namespace, labels), ...this.#named(workload)]
      found = [...new Set(hosts)].flatMap(host => this.#declared.get(host) ?? [])
      this.#joined.set(key, found)
    }
    return found
  }

  #selecting(namespace: string, labels: Readonly<Record<string, string>>): readonly string[] {
    const { services, serviceEntries } = this.#documents
    const own = services.filter(({ meta, selector }) => meta.namespace === namespace && selector && selects(selector, labels))
    const entries = serviceEntries.filter(
      ({ meta, workloadSelector }) => meta.namespace === namespace && workloadSelector && selects(workloadSelector, labels),
    )
    return [...own.map(({ meta }) => serviceHost(meta.name, meta.namespace)), ...entries.flatMap(({ hosts }) => hosts)]
  }

  #named(workload: RegisteredWorkload): readonly string[] {
    const host = implicitHost(workload)
    const { services, serviceEntries } = this.#documents
    const isOpen =
      services.some(({ meta, selector }) => serviceHost(meta.name, meta.namespace) === host && !selector) ||
      serviceEntries.some(
        ({ hosts, workloadSelector, endpoints, resolution }) =>
          hosts.includes(host) && resolution === 'static' && !workloadSelector && endpoints.length === 0,
      )
    return isOpen ? [host] : []
  }

  #endpoint(workload: RegisteredWorkload, host: string, ports: readonly number[]): MeshEndpoint {
    let known = this.#endpoints.get(workload)
    if (!known) {
      known = new Map()
      this.#endpoints.set(workload, known)
    }
    const endpoint = known.get(host)
    if (endpoint && endpoint.ports.size === ports.length && ports.every(port => endpoint.ports.has(port))) return endpoint
    const fresh: MeshEndpoint = {
      address: workload.address,
      ports: new Map(ports.map(port => [port, workload.port])),
      labels: withTopology(labelsOf(workload), workload.locality),
      locality: workload.locality,
      weight: workload.weight,
      workload: `${workload.service};${workload.namespace}`,
      ...(workload.identity === undefined ? {} : { identity: workload.identity }),
    }
    known.set(host, fresh)
    return fresh
  }
}

function labelsOf({ labels, service }: RegisteredWorkload): Readonly<Record<string, string>> {
  return labels.app === undefined ? { ...labels, app: service } : labels
}

/**
 * The ports of a declared service that a workload serves, of which it only tells where it listens: the only port there is, else
 * those whose number or target that is, else the first of the same protocol.
 */
function declaredPorts(ports: readonly MeshPort[], workload: RegisteredWorkload): readonly number[] {
  if (ports.length <= 1) return ports.map(({ number }) => number)
  const exact = ports.filter(({ number, target }) => target === workload.port || number === workload.port)
  if (exact.length > 0) return exact.map(({ number }) => number)
  const spoken = protocolOf(workload.protocol)
  const first = ports.find(({ protocol }) => protocol === spoken)
  return first ? [first.number] : []
}

/** A name with a dot is a host as it stands. */
const implicitHost = ({ service, namespace }: RegisteredWorkload) =>
  service.includes('.') ? service.toLowerCase() : serviceHost(service.toLowerCase(), namespace)

/**
 * The service that instances of one name make. It has port 80, because callers leave the port out, and the ports on which the
 * instances listen, unless each has its own; every port leads to all instances of its protocol.
 */
function implicitService(host: string, instances: readonly RegisteredWorkload[]): MeshService {
  const ports = new Map<number, MeshPort>()
  const listening = new Set(instances.map(({ port }) => port))
  const add = (number: number, spoken: string) => {
    const protocol = protocolOf(spoken)
    if (protocol && !ports.has(number))
      ports.set(number, { number, name: `${spoken || 'http'}-${number}`, protocol, target: number })
  }
  const http = instances.find(({ protocol }) => protocolOf(protocol) === 'http') ?? instances[0]
  if (http) add(implicitPort, http.protocol)
  if (listening.size <= maxImplicitPorts) for (const { port, protocol } of instances) add(port, protocol)
  const [first] = instances
  const hasShortNames = host.endsWith('.svc.cluster.local')
  return {
    host,
    name: hasShortNames ? (first?.service ?? host) : host,
    namespace: first?.namespace ?? '',
    hasShortNames,
    addresses: [],
    subjectAltNames: [],
    serviceAccounts: [],
    external: false,
    resolution: 'listed',
    ports: [...ports.values()].sort((a, b) => a.number - b.number),
  }
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key)
  if (list) list.push(value)
  else map.set(key, [value])
}
