import type { HealthStatus, LbEndpoint, Locality } from '../discovery/model/endpoint.ts'
import type { Host } from '../policies/load-balancing/host.ts'
import type { HostWeight } from '../policies/load-balancing/host-weight.ts'
import type { HostMonitor } from '../policies/outlier-detection.ts'
import type { EndpointChannels } from './grpc/endpoint-channels.ts'
import type { ConnectionPools } from './http/connection-pool.ts'
import type { LocalityCounters } from './locality-counters.ts'

/** Where a server is reached. */
export type Address = LbEndpoint['additionalAddresses'][number]

/** Makes the connections of an endpoint when it is first called. */
export interface EndpointConnections {
  http(endpoint: Endpoint): ConnectionPools
  grpc(endpoint: Endpoint): EndpointChannels
}

/** The connections of an endpoint, those that were ever made. */
export interface UsedConnections {
  readonly http: ConnectionPools | null
  readonly grpc: EndpointChannels | null
}

/**
 * One address of a cluster at run time. Its identity is kept across updates for as long as the address stays, and with it its
 * connections, its load and what outlier detection knows.
 */
export class Endpoint implements Host {
  readonly address: string
  readonly port: number
  hostname: string
  weight: number
  health: HealthStatus
  /** Outlier detection has taken it out. */
  ejected: boolean
  /** Its active health checks fail, or it has them and none has succeeded yet. */
  failedHealthCheck: boolean
  /** It does not count among the endpoints of its priority. */
  isExcluded: boolean
  /** Attempts in flight. */
  activeRequests: number
  locality: Locality
  priority: number
  metadata: Readonly<Record<string, string>> | undefined
  /** When it joined, on the monotonic clock. */
  readonly addedAt: number
  /** Still in the cluster. */
  isMember: boolean
  /** The configuration it was last updated from. */
  config: LbEndpoint
  /** Its weight by the load that it reports; `null` where nobody asks for reports. */
  reportedWeight: HostWeight | null
  /** Counts its attempts for reports to the control plane; `null` where nobody asks for them. */
  load: LocalityCounters | null
  /** What outlier detection knows of it; `null` when there is none. */
  monitor: HostMonitor<Endpoint> | null
  /** The number of the update that last named it; the host set's. */
  seenInUpdate: number
  readonly #connections: EndpointConnections
  #name: string | null
  #http: ConnectionPools | null
  #grpc: EndpointChannels | null

  constructor(config: LbEndpoint, locality: Locality, priority: number, addedAt: number, connections: EndpointConnections) {
    this.address = config.address
    this.port = config.port
    this.hostname = config.hostname
    this.weight = config.weight
    this.health = config.health
    this.ejected = false
    this.failedHealthCheck = false
    this.isExcluded = false
    this.activeRequests = 0
    this.locality = locality
    this.priority = priority
    this.metadata = config.metadata
    this.addedAt = addedAt
    this.isMember = true
    this.config = config
    this.reportedWeight = null
    this.load = null
    this.monitor = null
    this.seenInUpdate = 0
    this.#connections = connections
    this.#name = null
    this.#http = null
    this.#grpc = null
  }

  /** `address:port`, or the path of a Unix socket. */
  get name(): string {
    this.#name ??= endpointName(this.address, this.port)
    return this.#name
  }

  /** Other addresses of the same server, tried when a connection to {@link address} is not there in time (gRFC A61). */
  get alternatives(): readonly Address[] {
    return this.config.additionalAddresses
  }

  /** Its HTTP connections; made on first use, since most endpoints of a large cluster are never called. */
  get http(): ConnectionPools {
    this.#http ??= this.#connections.http(this)
    return this.#http
  }

  /** Its gRPC channels; made on first use. */
  get grpc(): EndpointChannels {
    this.#grpc ??= this.#connections.grpc(this)
    return this.#grpc
  }

  /** Its connections, if it was ever called; for whoever takes over. */
  get used(): UsedConnections | null {
    return this.#http === null && this.#grpc === null ? null : { http: this.#http, grpc: this.#grpc }
  }

  /** Takes over the connections that the same address had in an earlier cluster. */
  adopt(before: Endpoint): void {
    this.#http = before.#http
    this.#grpc = before.#grpc
  }

  /** Ends its connections once what is in flight on them is done. */
  async drain(): Promise<void> {
    const { used } = this
    if (used !== null) await drainConnections(used)
  }

  /** The next call makes new connections; what is in flight on the old ones goes on. */
  #reconnect(): void {
    const { used } = this
    this.#http = null
    this.#grpc = null
    if (used !== null) void drainConnections(used)
  }

  /** Takes over what an update says about the same address. Returns whether anything that balancing looks at changed. */
  update(config: LbEndpoint, locality: Locality, priority: number): boolean {
    if (config === this.config && locality === this.locality && priority === this.priority) return false
    const changed =
      config.weight !== this.weight ||
      config.health !== this.health ||
      priority !== this.priority ||
      config.hostname !== this.hostname ||
      !sameLocality(locality, this.locality)
    if (isReachedOtherwise(config, this.config)) this.#reconnect()
    this.hostname = config.hostname
    this.weight = config.weight
    this.health = config.health
    this.metadata = config.metadata
    this.locality = locality
    this.priority = priority
    this.config = config
    return changed
  }
}

/** Whether connections to an address would now be made in another way: over another transport socket, with another SNI, by other addresses. */
export function isReachedOtherwise(one: LbEndpoint, other: LbEndpoint): boolean {
  return (
    one.hostname !== other.hostname ||
    !sameEntries(one.transportSocketMatch, other.transportSocketMatch) ||
    !sameAddresses(one.additionalAddresses, other.additionalAddresses)
  )
}

/** Ends connections once what is in flight on them is done. */
async function drainConnections({ http, grpc }: UsedConnections): Promise<void> {
  grpc?.drain()
  await http?.drain()
}

/** How an endpoint is called in errors, logs and telemetry. */
export function endpointName(address: string, port: number): string {
  if (port === 0) return address
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

function sameLocality(one: Locality, other: Locality): boolean {
  return one === other || (one.region === other.region && one.zone === other.zone && one.subZone === other.subZone)
}

function sameEntries(one: LbEndpoint['transportSocketMatch'], other: LbEndpoint['transportSocketMatch']): boolean {
  if (one === other) return true
  if (one === undefined || other === undefined) return false
  const entries = Object.entries(one)
  return entries.length === Object.keys(other).length && entries.every(([key, value]) => other[key] === value)
}

function sameAddresses(one: readonly Address[], other: readonly Address[]): boolean {
  return (
    one === other ||
    (one.length === other.length &&
      one.every(({ address, port }, index) => other[index]?.address === address && other[index].port === port))
  )
}
