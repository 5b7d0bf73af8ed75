import type { HostWeight } from './host-weight.ts'

/** What a balancer reads of an endpoint. Endpoints of the data path implement it; only `activeRequests` changes between two updates. */
export interface Host {
  /** `address:port`, `[v6]:port` or the path of a Unix socket: what consistent hashing hashes. */
  readonly name: string
  /** At least 1. */
  readonly weight: number
  readonly health: 'unknown' | 'healthy' | 'unhealthy' | 'draining' | 'timeout' | 'degraded'
  /** Taken out by outlier detection. */
  readonly ejected: boolean
  /** Its active health checks fail, or it has them and none has succeeded yet. */
  readonly failedHealthCheck: boolean
  /** It was not checked yet, and does not count among the hosts of its priority (`ignore_new_hosts_until_first_hc`). */
  readonly isExcluded: boolean
  /** Attempts in flight. */
  readonly activeRequests: number
  /** When it joined, on the monotonic clock in milliseconds. */
  readonly addedAt: number
  /** Its weight by the load that it reports; `null` where nobody asks for reports. */
  readonly reportedWeight: HostWeight | null
  /** String values of the `envoy.lb` metadata. `hash_key` replaces the name in consistent hashing (gRFC A76). */
  readonly metadata: Readonly<Record<string, string>> | undefined
}

/** Endpoints of one locality at one priority. */
export interface LocalityHosts<H> {
  /** `load_balancing_weight`; `undefined` when none was given. */
  readonly weight: number | undefined
  readonly hosts: readonly H[]
}

/** All endpoints of one priority. */
export interface PriorityHosts<H> {
  readonly localities: readonly LocalityHosts<H>[]
}

/** Whether a host is to get traffic before any other consideration. */
export function isHealthy(host: Host): boolean {
  return !host.ejected && !host.failedHealthCheck && (host.health === 'healthy' || host.health === 'unknown')
}

/** Whether a host is to get traffic only when there are not enough healthy ones. */
export function isDegraded(host: Host): boolean {
  return !host.ejected && !host.failedHealthCheck && host.health === 'degraded'
}

/** How many hosts the healthy ones are compared to. */
export function countHosts(hosts: readonly Host[]): number {
  let count = 0
  for (const host of hosts) if (!host.isExcluded) count++
  return count
}
