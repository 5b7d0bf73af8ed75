import { isIP } from 'node:net'
import type { ClusterDiscovery } from '../discovery/model/cluster.ts'
import type { ClusterLoadAssignment, LbEndpoint, LocalityLbEndpoints } from '../discovery/model/endpoint.ts'
import type { Runtime, Timer } from '../runtime.ts'

/** All addresses of a host name, in the order to use them. Rejects when there are none or the resolver fails. */
export type DnsLookup = (hostname: string) => Promise<readonly string[]>

/** The resolver of the operating system. */
export const systemLookup: DnsLookup = hostname =>
  new Promise((resolve, reject) => {
    // Not imported: its resolver, made with it, is not free.
    process.getBuiltinModule('node:dns').lookup(hostname, { all: true, order: 'verbatim' }, (error, addresses) => {
      if (error !== null) reject(error)
      else resolve(addresses.map(({ address }) => address))
    })
  })

/** Addresses of one name that are used at most; a name with more is a mistake or an attack. */
const maxAddresses = 256
/** A failed name is asked for again at this pace at least, however long the refresh rate. */
const maxRetryMs = 5_000

type DnsDiscovery = Extract<ClusterDiscovery, { kind: 'strict-dns' | 'logical-dns' }>

/**
 * Keeps an assignment whose addresses are host names resolved. `strict-dns`: every address is an endpoint. `logical-dns`: all of them are one
 * endpoint, called by the first address and reached at any (gRFC A61; as in Envoy), and connections made to earlier ones are left alone. A name
 * that cannot be resolved keeps the addresses it had.
 */
export class DnsResolver {
  readonly #discovery: DnsDiscovery
  readonly #runtime: Runtime
  readonly #lookup: DnsLookup
  readonly #onChange: (assignment: ClusterLoadAssignment) => void
  readonly #addresses = new Map<string, readonly string[]>()
  readonly #endpoints = new Map<LbEndpoint, Map<string, LbEndpoint>>()
  #timer: Timer | null = null
  #isClosed = false
  #isFirst = true

  constructor(
    discovery: DnsDiscovery,
    runtime: Runtime,
    lookup: DnsLookup,
    onChange: (assignment: ClusterLoadAssignment) => void,
  ) {
    this.#discovery = discovery
    this.#runtime = runtime
    this.#lookup = lookup
    this.#onChange = onChange
    void this.#refresh()
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  async #refresh(): Promise<void> {
    const names = new Set<string>()
    for (const { endpoints } of this.#discovery.assignment.localities) {
      for (const { address, port } of endpoints) if (port !== 0 && isIP(address) === 0) names.add(address)
    }
    const results = await Promise.all([...names].map(name => this.#resolve(name)))
    if (this.#isClosed) return
    if (this.#isFirst || results.includes('changed')) this.#onChange(this.#assignment())
    this.#isFirst = false
    const { refreshRateMs } = this.#discovery
    const delayMs = results.includes('failed') ? Math.min(refreshRateMs, maxRetryMs) : refreshRateMs
    this.#timer = this.#runtime.clock.setTimeout(() => void this.#refresh(), delayMs)
  }

  async #resolve(name: string): Promise<'same' | 'changed' | 'failed'> {
    try {
      const found = await this.#lookup(name)
      const addresses = (this.#isLogical ? found : [...found].sort()).slice(0, maxAddresses)
      const before = this.#addresses.get(name)
      if (before !== undefined && before.join() === addresses.join()) return 'same'
      this.#addresses.set(name, addresses)
      return 'changed'
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#runtime.logger.warn(`cluster ${this.#discovery.assignment.name}: ${name}: ${reason}`)
      return 'failed'
    }
  }

  get #isLogical(): boolean {
    return this.#discovery.kind === 'logical-dns'
  }

  #assignment(): ClusterLoadAssignment {
    const { assignment } = this.#discovery
    return { ...assignment, localities: assignment.localities.map(locality => this.#locality(locality)) }
  }

  #locality(locality: LocalityLbEndpoints): LocalityLbEndpoints {
    return { ...locality, endpoints: locality.endpoints.flatMap(endpoint => this.#resolved(endpoint)) }
  }

  #resolved(endpoint: LbEndpoint): readonly LbEndpoint[] {
    const { address, port, hostname } = endpoint
    if (port === 0 || isIP(address) !== 0) return [endpoint]
    const made = this.#endpoints.get(endpoint) ?? new Map<string, LbEndpoint>()
    const now = new Map<string, LbEndpoint>()
    const called = { ...endpoint, hostname: hostname === '' ? address : hostname }
    const found = this.#addresses.get(address) ?? []
    const [first, ...others] = found
    if (this.#isLogical && first !== undefined) {
      const additionalAddresses = others.map(other => ({ address: other, port }))
      const key = found.join()
      now.set(key, made.get(key) ?? { ...called, address: first, additionalAddresses })
    } else {
      for (const ip of found) now.set(ip, made.get(ip) ?? { ...called, address: ip })
    }
    this.#endpoints.set(endpoint, now)
    return [...now.values()]
  }
}
