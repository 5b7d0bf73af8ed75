import type { CidrRange, FilterChain, InboundListener } from '../discovery/model/inbound-listener.ts'
import { IpRange, parseIp } from '../policies/ip-range.ts'

/** What a filter chain is chosen by. */
export interface ConnectionFacts {
  readonly destinationAddress: string
  readonly destinationPort: number
  readonly sourceAddress: string
  readonly sourcePort: number
  /** Whether the connection began as TLS does. */
  readonly transportProtocol: 'tls' | 'raw_buffer'
}

interface Candidate {
  readonly chain: FilterChain
  readonly destinations: readonly IpRange[]
  readonly sources: readonly IpRange[]
}

/** How well a candidate fits in one respect: the higher the better, -1 not at all; 0 where it says nothing. */
type Fit = (candidate: Candidate) => number

/**
 * Finds the filter chain of a connection (`FilterChainMatch`, gRFC A36): by destination address, transport protocol, kind of source, source
 * address and source port, in this order. Each step keeps those that fit best, and nothing goes back to an earlier step.
 */
export class FilterChainMatch {
  readonly #candidates: readonly Candidate[]
  readonly #defaultChain: FilterChain | undefined

  constructor({ filterChains, defaultFilterChain }: InboundListener) {
    this.#candidates = filterChains
      .filter(({ match }) => !match.isUnsupported)
      .map(chain => ({
        chain,
        destinations: chain.match.prefixRanges.map(compile),
        sources: chain.match.sourcePrefixRanges.map(compile),
      }))
    this.#defaultChain = defaultFilterChain
  }

  /** Whether any chain of these asks how the connection begins, which takes its first byte. */
  get asksForTransport(): boolean {
    return this.#candidates.some(({ chain }) => chain.match.transportProtocol !== '')
  }

  /** `undefined`: the connection is to be closed. */
  find({ destinationAddress, sourceAddress, sourcePort, transportProtocol }: ConnectionFacts): FilterChain | undefined {
    const destination = parseIp(destinationAddress)
    const source = parseIp(sourceAddress)
    const isLocal = destination !== null && source !== null && (isLoopback(source) || areEqual(destination, source))
    const steps: readonly Fit[] = [
      ({ destinations }) => fitOfRanges(destinations, destination),
      ({ chain }) => fitOfValue(chain.match.transportProtocol, transportProtocol),
      ({ chain }) => fitOfValue(chain.match.sourceType, isLocal ? 'same-ip-or-loopback' : 'external', 'any'),
      ({ sources }) => fitOfRanges(sources, source),
      ({ chain: { match } }) => (match.sourcePorts.length === 0 ? 0 : match.sourcePorts.includes(sourcePort) ? 1 : -1),
    ]
    let left = this.#candidates
    for (const fit of steps) {
      const best = Math.max(-1, ...left.map(fit))
      if (best < 0) return this.#defaultChain
      left = left.filter(candidate => fit(candidate) === best)
    }
    return left[0]?.chain ?? this.#defaultChain
  }
}

function compile({ address, prefixLength }: CidrRange): IpRange {
  return new IpRange(address, prefixLength)
}

/** The longest prefix is the best; `0.0.0.0/0` says more than nothing. */
function fitOfRanges(ranges: readonly IpRange[], address: Uint8Array | null): number {
  if (ranges.length === 0) return 0
  if (address === null) return -1
  return Math.max(-1, ...ranges.filter(range => range.has(address)).map(range => range.prefixLength + 1))
}

function fitOfValue(wanted: string, actual: string, anything = ''): number {
  if (wanted === anything) return 0
  return wanted === actual ? 1 : -1
}

function isLoopback(address: Uint8Array): boolean {
  if (address.length === 4) return address[0] === 127
  return address.every((byte, at) => byte === (at === 15 ? 1 : 0))
}

function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at])
}
