import { parseIp } from '../../policies/ip-range.ts'
import type {
  FilterChainMatch as FilterChainMatchMessage,
  FilterChain as FilterChainMessage,
} from '../gen/envoy/config/listener/v3/listener_components_pb.ts'
import type { Listener as ListenerMessage } from '../gen/envoy/config/listener/v3/listener_pb.ts'
import { FilterChainMatch_ConnectionSourceType as SourceType } from '../gen/tables.ts'
import { httpConnectionManagerType } from '../message-types.ts'
import type { CidrRange, FilterChain, FilterChainMatch, InboundListener } from '../model/inbound-listener.ts'
import type { HttpConnectionManager } from '../model/listener.ts'
import { readTypedConfig } from './any.ts'
import { decodeCidrRange } from './cidr-range.ts'
import { decodeDownstreamTls } from './downstream-tls.ts'
import { decodeHttpConnectionManager } from './http-connection-manager.ts'
import type { Problems } from './problems.ts'

/**
 * Decodes `envoy.config.listener.v3.Listener` as a server reads it (gRFC A36): filter chains with one `HttpConnectionManager` each, which is
 * their only filter. What would make a server let in more than it was told is an error.
 */
export function decodeInboundListener(message: ListenerMessage, problems: Problems): InboundListener {
  problems.required('name', message.name)
  if (message.apiListener !== undefined) problems.addAt('api_listener', 'is for clients, not for servers')
  if (message.listenerFilters.length > 0) problems.addAt('listener_filters', 'are not supported')
  if (message.useOriginalDst === true) problems.addAt('use_original_dst', 'is not supported')
  const filterChains = message.filterChains.map((chain, index) => decodeChain(chain, problems.at('filter_chains', index)))
  refuseEqualMatches(filterChains, problems)
  const { defaultFilterChain } = message
  const at = problems.at('default_filter_chain')
  if (defaultFilterChain === undefined && filterChains.every(({ match }) => match.isUnsupported))
    problems.addAt('filter_chains', filterChains.length === 0 ? 'must not be empty' : 'have none that a connection could match')
  return {
    name: message.name,
    address: addressOf(message, problems),
    filterChains,
    defaultFilterChain: defaultFilterChain && decodeChain(defaultFilterChain, at),
  }
}

function addressOf({ address }: ListenerMessage, problems: Problems): InboundListener['address'] {
  const specifier = address?.address
  if (specifier === undefined || specifier.case === undefined) {
    problems.addAt('address', 'is required')
    return undefined
  }
  if (specifier.case !== 'socketAddress') {
    problems.addAt('address', `must be a socket_address, got ${specifier.case}`)
    return undefined
  }
  const { address: host, portSpecifier } = specifier.value
  return { address: host, port: portSpecifier.case === 'portValue' ? portSpecifier.value : 0 }
}

function decodeChain(message: FilterChainMessage, problems: Problems): FilterChain {
  return {
    name: message.name,
    match: decodeMatch(message.filterChainMatch, problems.at('filter_chain_match')),
    http: decodeManager(message, problems),
    tls: decodeDownstreamTls(message.transportSocket, problems.at('transport_socket')),
  }
}

const noManager: HttpConnectionManager = {
  routes: { kind: 'rds', routeConfigName: '' },
  filters: [],
  maxStreamDurationMs: undefined,
  streamIdleTimeoutMs: undefined,
  normalizePath: false,
  mergeSlashes: false,
}

function decodeManager({ filters }: FilterChainMessage, problems: Problems): HttpConnectionManager {
  const [filter, ...more] = filters
  if (filter === undefined || more.length > 0) {
    problems.addAt('filters', `must be one HttpConnectionManager, got ${filters.length} filters`)
    if (filter === undefined) return noManager
  }
  const at = problems.at('filters', 0)
  const typed = readTypedConfig(
    filter.configType.value instanceof Object && 'typeUrl' in filter.configType.value ? filter.configType.value : undefined,
  )
  if (typed.type !== httpConnectionManagerType.typeName) {
    at.add(`must be an HttpConnectionManager, got "${typed.type}"`)
    return noManager
  }
  const message = typed.as(httpConnectionManagerType, at)
  if (message === undefined) return noManager
  // Whoever is trusted to say where a call came from could say anything (gRFC A41).
  if (message.xffNumTrustedHops > 0) at.addAt('xff_num_trusted_hops', 'must be 0')
  if (message.originalIpDetectionExtensions.length > 0) at.addAt('original_ip_detection_extensions', 'are not supported')
  return decodeHttpConnectionManager(message, at, 'server')
}

const anything: FilterChainMatch = {
  prefixRanges: [],
  sourceType: 'any',
  sourcePrefixRanges: [],
  sourcePorts: [],
  transportProtocol: '',
  isUnsupported: false,
}

const sourceTypes: Readonly<Record<number, FilterChainMatch['sourceType']>> = {
  [SourceType.ANY]: 'any',
  [SourceType.SAME_IP_OR_LOOPBACK]: 'same-ip-or-loopback',
  [SourceType.EXTERNAL]: 'external',
}

function decodeMatch(message: FilterChainMatchMessage | undefined, problems: Problems): FilterChainMatch {
  if (message === undefined) return anything
  const { destinationPort, serverNames, applicationProtocols, transportProtocol, sourceType } = message
  if (message.directSourcePrefixRanges.length > 0) problems.addAt('direct_source_prefix_ranges', 'is not supported')
  return {
    prefixRanges: message.prefixRanges.map((range, index) => decodeCidrRange(range, problems.at('prefix_ranges', index))),
    sourceType: sourceTypes[sourceType] ?? 'any',
    sourcePrefixRanges: message.sourcePrefixRanges.map((range, index) =>
      decodeCidrRange(range, problems.at('source_prefix_ranges', index)),
    ),
    sourcePorts: message.sourcePorts,
    transportProtocol,
    isUnsupported:
      destinationPort !== undefined ||
      serverNames.length > 0 ||
      applicationProtocols.length > 0 ||
      !['', 'raw_buffer', 'tls'].includes(transportProtocol),
  }
}

/** Two chains for the same connections leave open which of them is meant. */
function refuseEqualMatches(chains: readonly FilterChain[], problems: Problems): void {
  const seen = new Map<string, number>()
  for (const [index, { match }] of chains.entries()) {
    for (const key of matchKeys(match)) {
      const first = seen.get(key)
      if (first !== undefined && first !== index)
        problems.at('filter_chains', index).addAt('filter_chain_match', `is the same as that of filter_chains[${first}]`)
      seen.set(key, first ?? index)
    }
  }
}

/** A key for each combination that a match stands for. */
function matchKeys({
  prefixRanges,
  sourceType,
  sourcePrefixRanges,
  sourcePorts,
  transportProtocol,
  isUnsupported,
}: FilterChainMatch): string[] {
  if (isUnsupported) return []
  const orAny = (keys: readonly string[]) => (keys.length === 0 ? [''] : keys)
  const ranges = (list: readonly CidrRange[]) => orAny(list.map(rangeKey))
  return ranges(prefixRanges).flatMap(to =>
    ranges(sourcePrefixRanges).flatMap(from =>
      orAny(sourcePorts.map(String)).map(port => [to, transportProtocol, sourceType, from, port].join(' ')),
    ),
  )
}

/** The same for ranges of the same addresses, however they are written. */
function rangeKey({ address, prefixLength }: CidrRange): string {
  const bytes = parseIp(address) ?? []
  const bits = Array.from(bytes, (byte, at) => byte & (0xff00 >> Math.max(0, Math.min(8, prefixLength - 8 * at))) & 0xff)
  return `${bits.join('.')}/${prefixLength}`
}
