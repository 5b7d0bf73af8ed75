import { BlockList, isIPv6 } from 'node:net'

/** `envoy.config.core.v3.CidrRange`, validated. */
export interface CidrRange {
  /** IPv4 or IPv6; bits beyond the prefix do not count. */
  readonly address: string
  /** 0 to 32 or 128. */
  readonly prefixLength: number
}

/** A compiled {@link CidrRange}. */
export interface CompiledCidrRange {
  /** @param address as a socket reports it */
  contains(address: string): boolean
}

/** How sockets that take both families write an IPv4 address. */
const mapped = '::ffff:'

/** Compiles a range. An IPv4 address is the same within IPv6 (`::ffff:10.0.0.1`), and in no range of IPv6 (as in Envoy). */
export function compileCidrRange({ address, prefixLength }: CidrRange): CompiledCidrRange {
  const range = new BlockList()
  if (!isIPv6(address)) {
    range.addSubnet(address, prefixLength, 'ipv4')
    return { contains: candidate => range.check(candidate, candidate.includes(':') ? 'ipv6' : 'ipv4') }
  }
  range.addSubnet(address, prefixLength, 'ipv6')
  return {
    contains(candidate) {
      if (!candidate.includes(':') || candidate.startsWith(mapped)) return false
      // Link-local addresses have a zone.
      const zone = candidate.indexOf('%')
      return range.check(zone < 0 ? candidate : candidate.slice(0, zone), 'ipv6')
    },
  }
}
