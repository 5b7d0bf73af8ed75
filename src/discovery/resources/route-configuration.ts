import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import type { MirrorPolicy } from '../../policies/mirror.ts'
import type { VirtualHost as VirtualHostMessage } from '../gen/envoy/config/route/v3/route_components_pb.ts'
import type { RouteConfiguration as RouteConfigurationMessage } from '../gen/envoy/config/route/v3/route_pb.ts'
import { routeConfigurationType, virtualHostType } from '../message-types.ts'
import type { FilterOverrides, RouteConfiguration, VirtualHost } from '../model/route.ts'
import { readTypedConfig } from './any.ts'
import { decodeHeaderMutations } from './header-mutations.ts'
import { decodeFilterOverrides } from './http-filter.ts'
import { decodeMirrorPolicies } from './mirror-policy.ts'
import type { Problems } from './problems.ts'
import { decodeRetryPolicy } from './retry-policy.ts'
import { decodeRoute } from './route.ts'

const defaultMaxBodyBytes = 4096

interface Inherited {
  readonly mirrors: readonly MirrorPolicy[]
  readonly filterOverrides: FilterOverrides
  readonly maxBodyBytes: number
  readonly specifierPlugins: ReadonlySet<string>
}

/** Decodes `envoy.config.route.v3.RouteConfiguration`. */
export function decodeRouteConfiguration(message: RouteConfigurationMessage, problems: Problems): RouteConfiguration {
  const decoder = new RouteConfigurationDecoder(message, problems)
  for (const virtualHost of message.virtualHosts) decoder.addVirtualHost(virtualHost)
  return decoder.finish()
}

/**
 * Reads a serialized `RouteConfiguration`, yielding after each virtual host: one of a thousand virtual hosts takes tens of
 * milliseconds as a whole.
 *
 * @throws Error when `bytes` are not a protobuf message
 */
export function* readRouteConfiguration(
  bytes: Uint8Array,
  problems: Problems,
): Generator<undefined, RouteConfiguration, undefined> {
  const reader = new BinaryReader(bytes)
  const virtualHosts: Uint8Array[] = []
  const rest: Uint8Array[] = []
  while (reader.pos < reader.len) {
    const start = reader.pos
    const [field, type] = reader.tag()
    if (field === virtualHostsField && type === WireType.LengthDelimited) {
      virtualHosts.push(reader.bytes())
    } else {
      reader.skip(type, field)
      rest.push(bytes.subarray(start, reader.pos))
    }
  }
  const message = routeConfigurationType.decode(Buffer.concat(rest))
  // One within a listener needs none.
  problems.required('name', message.name)
  const decoder = new RouteConfigurationDecoder(message, problems)
  for (const virtualHost of virtualHosts) {
    decoder.addVirtualHost(virtualHostType.decode(virtualHost))
    yield
  }
  return decoder.finish()
}

const virtualHostsField = 2

/** Every domain may be there once only, in any case of letters. */
class RouteConfigurationDecoder {
  readonly #message: RouteConfigurationMessage
  readonly #problems: Problems
  readonly #inherited: Inherited
  readonly #owners = new Map<string, string>()
  readonly #virtualHosts: VirtualHost[] = []

  constructor(message: RouteConfigurationMessage, problems: Problems) {
    if (message.vhds !== undefined) problems.addAt('vhds', 'is not supported')
    this.#message = message
    this.#problems = problems
    this.#inherited = {
      mirrors: decodeMirrorPolicies(message.requestMirrorPolicies, problems),
      filterOverrides: decodeFilterOverrides(message.typedPerFilterConfig, problems),
      maxBodyBytes: message.maxDirectResponseBodySizeBytes ?? defaultMaxBodyBytes,
      specifierPlugins: readSpecifierPlugins(message, problems),
    }
  }

  addVirtualHost(virtualHost: VirtualHostMessage): void {
    const at = this.#problems.at('virtual_hosts', this.#virtualHosts.length)
    checkDomains(virtualHost, this.#owners, at)
    this.#virtualHosts.push(decodeVirtualHost(virtualHost, this.#inherited, at))
  }

  finish(): RouteConfiguration {
    const message = this.#message
    return {
      name: message.name,
      virtualHosts: this.#virtualHosts,
      headerMutations: decodeHeaderMutations(message, this.#problems),
      ignorePortInHostMatching: message.ignorePortInHostMatching,
      mostSpecificHeaderMutationsWins: message.mostSpecificHeaderMutationsWins,
    }
  }
}

/** None is supported: one that is not optional refuses the configuration, and the routes of the others are left out. */
function readSpecifierPlugins({ clusterSpecifierPlugins }: RouteConfigurationMessage, problems: Problems): ReadonlySet<string> {
  const names = new Set<string>()
  for (const [index, { extension, isOptional }] of clusterSpecifierPlugins.entries()) {
    const { name = '', typedConfig } = extension ?? {}
    names.add(name)
    if (isOptional) continue
    const type = readTypedConfig(typedConfig).type
    problems.at('cluster_specifier_plugins', index).add(`"${name}" of type "${type}" is not supported and not optional`)
  }
  return names
}

function checkDomains(message: VirtualHostMessage, owners: Map<string, string>, problems: Problems): void {
  if (message.domains.length === 0) problems.addAt('domains', 'must not be empty')
  message.domains.forEach((written, index) => {
    const domain = written.toLowerCase()
    const star = domain.indexOf('*')
    const at = problems.at('domains', index)
    if (domain === '') at.add('must not be empty')
    else if (star >= 0 && (star !== domain.lastIndexOf('*') || (star > 0 && star < domain.length - 1)))
      at.add(`must be a name, *suffix, prefix* or *, got "${written}"`)
    const owner = owners.get(domain)
    if (owner !== undefined) at.add(`"${written}" is a domain of virtual host "${owner}" already`)
    else owners.set(domain, message.name)
  })
}

const tlsRequirements = ['none', 'external-only', 'all'] as const

function decodeVirtualHost(message: VirtualHostMessage, inherited: Inherited, problems: Problems): VirtualHost {
  if (message.matcher !== undefined) problems.addAt('matcher', 'is not supported')
  if (message.retryPolicyTypedConfig !== undefined) problems.addAt('retry_policy_typed_config', 'is not supported')
  const mirrors = decodeMirrorPolicies(message.requestMirrorPolicies, problems)
  const scope = {
    defaults: {
      mirrors: mirrors.length > 0 ? mirrors : inherited.mirrors,
      hedgeOnPerTryTimeout: message.hedgePolicy?.hedgeOnPerTryTimeout ?? false,
    },
    maxBodyBytes: inherited.maxBodyBytes,
    specifierPlugins: inherited.specifierPlugins,
  }
  return {
    name: message.name,
    domains: message.domains.map(domain => domain.toLowerCase()),
    routes: message.routes
      .map((route, index) => decodeRoute(route, scope, problems.at('routes', index)))
      .filter(route => route !== undefined),
    headerMutations: decodeHeaderMutations(message, problems),
    retryPolicy:
      message.retryPolicy === undefined ? undefined : decodeRetryPolicy(message.retryPolicy, problems.at('retry_policy')),
    requireTls: tlsRequirements[message.requireTls] ?? 'none',
    includeRequestAttemptCount: message.includeRequestAttemptCount,
    includeAttemptCountInResponse: message.includeAttemptCountInResponse,
    filterOverrides: { ...inherited.filterOverrides, ...decodeFilterOverrides(message.typedPerFilterConfig, problems) },
  }
}
