import type { ClusterLoadAssignment, LbEndpoint, Locality, LocalityLbEndpoints } from '../discovery/model/endpoint.ts'
import type { LocalityHosts, PriorityHosts } from '../policies/load-balancing/host.ts'
import type { Endpoint } from './endpoint.ts'

/** What an update did. */
export interface HostSetChange {
  /** Whether the balancer must be built anew. */
  readonly changed: boolean
  readonly added: readonly Endpoint[]
  readonly removed: readonly Endpoint[]
}

const unchanged: HostSetChange = { changed: false, added: [], removed: [] }

/** Makes an endpoint when an address joins. */
export type EndpointFactory = (config: LbEndpoint, locality: Locality, priority: number) => Endpoint

/** The endpoints of a cluster, their identity kept by address from one assignment to the next. */
export class HostSet {
  readonly #create: EndpointFactory
  /** By port, then address: no key has to be made of the two. */
  readonly #byPort = new Map<number, Map<string, Endpoint>>()
  #assignment: ClusterLoadAssignment | null = null
  /** The endpoints of each locality of the assignment, in its order. */
  #hosts: readonly (readonly Endpoint[])[] = []
  #priorities: readonly PriorityHosts<Endpoint>[] = []
  #generation = 0
  #size = 0

  constructor(create: EndpointFactory) {
    this.#create = create
  }

  /** By priority, 0 first. A priority without endpoints is there, empty. */
  get priorities(): readonly PriorityHosts<Endpoint>[] {
    return this.#priorities
  }

  get assignment(): ClusterLoadAssignment | null {
    return this.#assignment
  }

  get size(): number {
    return this.#size
  }

  *endpoints(): IterableIterator<Endpoint> {
    for (const hosts of this.#hosts) yield* hosts
  }

  /** The endpoint of an address, if it is there. */
  find(address: string, port: number): Endpoint | undefined {
    return this.#byPort.get(port)?.get(address)
  }

  /** Reconciles with an assignment. Costs little for what is where it was before. */
  apply(assignment: ClusterLoadAssignment): HostSetChange {
    const previous = this.#assignment
    if (assignment === previous) return unchanged
    this.#assignment = assignment
    this.#generation++
    const added: Endpoint[] = []
    const hosts: (readonly Endpoint[])[] = []
    const priorities: { localities: LocalityHosts<Endpoint>[] }[] = []
    let changed =
      previous?.overprovisioningFactor !== assignment.overprovisioningFactor ||
      previous.localities.length !== assignment.localities.length
    let count = 0
    for (const [index, locality] of assignment.localities.entries()) {
      const { weight, priority } = locality
      const before = previous?.localities[index]
      if (before === undefined || before.weight !== weight || before.priority !== priority) changed = true
      const found = this.#reconcile(locality, this.#hosts[index] ?? [], added)
      if (found.changed) changed = true
      hosts.push(found.hosts)
      count += found.hosts.length
      while (priorities.length <= priority) priorities.push({ localities: [] })
      priorities[priority]?.localities.push({ weight, hosts: found.hosts })
    }
    const removed = this.#size + added.length > count ? this.#removeUnseen() : []
    if (added.length > 0 || removed.length > 0) changed = true
    this.#hosts = hosts
    this.#size = count
    if (changed) this.#priorities = priorities
    return { changed, added, removed }
  }

  #reconcile(
    { endpoints, locality, priority }: LocalityLbEndpoints,
    before: readonly Endpoint[],
    added: Endpoint[],
  ): { readonly hosts: readonly Endpoint[]; readonly changed: boolean } {
    const hosts: Endpoint[] = []
    let changed = false
    for (let index = 0; index < endpoints.length; index++) {
      const config = endpoints[index]
      if (config === undefined) continue
      const likely = before[index]
      // Most endpoints are where they were: no look-up for those.
      const isSame = likely?.isMember === true && likely.address === config.address && likely.port === config.port
      let endpoint = isSame ? likely : this.#byPort.get(config.port)?.get(config.address)
      if (endpoint === undefined) {
        endpoint = this.#create(config, locality, priority)
        this.#add(endpoint)
        added.push(endpoint)
      } else if (endpoint.update(config, locality, priority)) {
        changed = true
      }
      endpoint.seenInUpdate = this.#generation
      hosts.push(endpoint)
    }
    return { hosts, changed }
  }

  #add(endpoint: Endpoint): void {
    const { port, address } = endpoint
    const byAddress = this.#byPort.get(port)
    if (byAddress === undefined) this.#byPort.set(port, new Map([[address, endpoint]]))
    else byAddress.set(address, endpoint)
  }

  #removeUnseen(): Endpoint[] {
    const removed: Endpoint[] = []
    for (const hosts of this.#hosts) {
      for (const endpoint of hosts) {
        if (endpoint.seenInUpdate === this.#generation || !endpoint.isMember) continue
        endpoint.isMember = false
        removed.push(endpoint)
        const byAddress = this.#byPort.get(endpoint.port)
        byAddress?.delete(endpoint.address)
        if (byAddress?.size === 0) this.#byPort.delete(endpoint.port)
      }
    }
    return removed
  }
}
