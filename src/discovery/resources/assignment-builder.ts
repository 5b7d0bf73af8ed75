import type { ClusterLoadAssignment, LbEndpoint, Locality, LocalityLbEndpoints } from '../model/endpoint.ts'
import { AddressSet } from './address-set.ts'
import type { Problems } from './problems.ts'

const maxUint32 = 0xffff_ffff
const maxPriority = 128
const maxPort = 65_535

/**
 * Puts a `ClusterLoadAssignment` together and checks the rules of gRFC A27 on the way, in time proportional to the number of
 * endpoints: an address once only, a locality once in a priority, no priority left out, sums of weights within uint32.
 */
export class AssignmentBuilder {
  readonly #problems: Problems
  readonly #localities: LocalityLbEndpoints[] = []
  readonly #addresses = new AddressSet()
  readonly #localityKeys = new Set<string>()
  readonly #localityWeights = new Map<number, number>()
  #endpointWeights = 0

  constructor(problems: Problems) {
    this.#problems = problems
  }

  /** The place of the locality that is read now. */
  get localityIndex(): number {
    return this.#localities.length
  }

  /** Checks an endpoint of the locality that is read now; `index` is its place in it. */
  checkEndpoint(endpoint: LbEndpoint, index: number): void {
    if (endpoint.address === '') this.#at(index).addAt('endpoint.address', 'is required')
    if (endpoint.port > maxPort)
      this.#at(index).addAt('endpoint.address.socket_address.port_value', `must be <= ${maxPort}, got ${endpoint.port}`)
    if (endpoint.healthCheck !== undefined && endpoint.healthCheck.port > maxPort)
      this.#at(index).addAt('endpoint.health_check_config.port_value', `must be <= ${maxPort}, got ${endpoint.healthCheck.port}`)
    if (endpoint.weight === 0) this.#at(index).addAt('load_balancing_weight', 'must be >= 1, got 0')
    this.#endpointWeights += endpoint.weight
    this.#checkAddress(endpoint.address, endpoint.port, index)
    for (const { address, port } of endpoint.additionalAddresses) this.#checkAddress(address, port, index)
  }

  /** Adds the locality whose endpoints were checked. */
  addLocality(locality: Locality, priority: number, weight: number | undefined, endpoints: readonly LbEndpoint[]): void {
    const at = this.#problems.at('endpoints', this.localityIndex)
    if (priority > maxPriority) at.addAt('priority', `must be <= ${maxPriority}, got ${priority}`)
    const { region, zone, subZone } = locality
    const key = JSON.stringify([priority, region, zone, subZone])
    // One without weight is none for gRPC, and for Envoy more of the same.
    if (weight !== undefined && weight > 0) {
      if (this.#localityKeys.has(key))
        at.addAt(
          'locality',
          `{region: "${region}", zone: "${zone}", sub_zone: "${subZone}"} is there twice in priority ${priority}`,
        )
      this.#localityKeys.add(key)
    }
    this.#localityWeights.set(priority, (this.#localityWeights.get(priority) ?? 0) + (weight ?? 0))
    if (this.#endpointWeights > maxUint32)
      at.addAt('lb_endpoints', `weights must not add up to more than ${maxUint32}, got ${this.#endpointWeights}`)
    this.#endpointWeights = 0
    this.#localities.push({ locality, priority, weight: weight === 0 ? undefined : weight, endpoints })
  }

  /** The finished assignment. */
  finish(
    name: string,
    dropOverloads: ClusterLoadAssignment['dropOverloads'],
    overprovisioningFactor: number,
  ): ClusterLoadAssignment {
    const priorities = [...this.#localityWeights.keys()].sort((left, right) => left - right)
    const gap = priorities.findIndex((priority, index) => priority !== index)
    if (gap >= 0) this.#problems.addAt('endpoints', `priority ${gap} is missing, but there is a priority ${priorities[gap]}`)
    for (const [priority, sum] of this.#localityWeights) {
      if (sum > maxUint32)
        this.#problems.addAt('endpoints', `weights of priority ${priority} must not add up to more than ${maxUint32}, got ${sum}`)
    }
    if (overprovisioningFactor === 0) this.#problems.addAt('policy.overprovisioning_factor', 'must be > 0, got 0')
    const localities = this.#localities.sort((left, right) => left.priority - right.priority)
    return { name, localities, dropOverloads, overprovisioningFactor }
  }

  #at(index: number): Problems {
    return this.#problems.at('endpoints', this.localityIndex).at('lb_endpoints', index)
  }

  #checkAddress(address: string, port: number, index: number): void {
    if (this.#addresses.add(address, port) || address === '') return
    this.#at(index).addAt('endpoint.address', `${address}:${port} is there twice`)
  }
}
