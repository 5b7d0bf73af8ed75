import type { Host, LocalityHosts } from './host.ts'

/** Hosts with their shares of the load, which sum to 1. */
export interface WeightedHosts<H> {
  readonly hosts: readonly H[]
  readonly shares: readonly number[]
}

/**
 * Works out each host's share for consistent hashing, as Envoy normalises weights: by host weight, and with locality weights by locality first
 * (one without weight gets nothing).
 */
export function weighHosts<H extends Host>(localities: readonly LocalityHosts<H>[], byLocality: boolean): WeightedHosts<H> {
  const weighted = localities.flatMap(({ weight = 0, hosts }) =>
    hosts.length === 0 || (byLocality && weight === 0) ? [] : [{ weight, hosts }],
  )
  const localitySum = weighted.reduce((sum, { weight }) => sum + weight, 0)
  const hosts = weighted.flatMap(each => each.hosts)
  if (!byLocality) {
    const sum = sumOfWeights(hosts)
    return { hosts, shares: hosts.map(host => host.weight / sum) }
  }
  const shares = weighted.flatMap(({ weight, hosts: members }) => {
    const sum = sumOfWeights(members)
    return members.map(host => (host.weight * (weight / localitySum)) / sum)
  })
  return { hosts, shares }
}

/** What consistent hashing knows a host by: the `hash_key` of its metadata (gRFC A76), else its address. */
export function hashKey(host: Host): string {
  return host.metadata?.hash_key || host.name
}

function sumOfWeights(hosts: readonly Host[]): number {
  return hosts.reduce((sum, { weight }) => sum + weight, 0)
}
