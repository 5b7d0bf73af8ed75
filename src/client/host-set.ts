import type { ClusterLoadAssignment, LbEndpoint, Locality } from '../discovery/model/endpoint.ts'
import type { LocalityHosts, PriorityHosts } from '../policies/load-balancing/host.ts'
import { type Endpoint, endpointName } from './endpoint.ts'

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
  readonly #byName = new Map<string, Endpoint>()
  #assignment: ClusterLoadAssignment | null = null
  #priorities: readonly PriorityHosts<Endpoint>[] = []
  #generation = 0

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
    return this.#byName.size
  }

  endpoints(): IterableIterator<Endpoint> {
    return this.#byName.values()
  }

  /** Reconciles with an assignment. */
  apply(assignment: ClusterLoadAssignment): HostSetChange {
    if (assignment === this.#assignment) return unchanged
    const previous = this.#assignment
    this.#assignment = assignment
    this.#generation++
    const added: Endpoint[] = []
    let changed =
      previous === null ||
      previous.overprovisioningFactor !== assignment.overprovisioningFactor ||
      previous.localities.length !== assignment.localities.length
    const priorities: { localities: LocalityHosts<Endpoint>[] }[] = []
    let count = 0
    for (const [index, { locality, priority, weight, endpoints }] of assignment.localities.entries()) {
      const before = previous?.localities[index]
      if (before === undefined || before.weight !== weight || before.priority !== priority) changed = true
      const hosts: Endpoint[] = []
      for (const config of endpoints) {
        const name = endpointName(config.address, config.port)
        let endpoint = this.#byName.get(name)
        if (endpoint === undefined) {
          endpoint = this.#create(config, locality, priority)
          this.#byName.set(name, endpoint)
          added.push(endpoint)
        } else if (endpoint.update(config, locality, priority)) {
          changed = true
        }
        endpoint.seenInUpdate = this.#generation
        hosts.push(endpoint)
        count++
      }
      while (priorities.length <= priority) priorities.push({ localities: [] })
      priorities[priority]?.localities.push({ weight, hosts })
    }
    const removed = this.#byName.size > count ? this.#removeUnseen() : []
    if (added.length > 0 || removed.length > 0) changed = true
    if (changed) this.#priorities = priorities
    return { changed, added, removed }
  }

  #removeUnseen(): Endpoint[] {
    const removed: Endpoint[] = []
    for (const [name, endpoint] of this.#byName) {
      if (endpoint.seenInUpdate === this.#generation) continue
      endpoint.isMember = false
      this.#byName.delete(name)
      removed.push(endpoint)
    }
    return removed
  }
}
