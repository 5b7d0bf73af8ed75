import type { MirrorPolicy } from '../../policies/mirror.ts'
import type { VirtualHost as VirtualHostMessage } from '../gen/envoy/config/route/v3/route_components_pb.ts'
import type { RouteConfiguration as RouteConfigurationMessage } from '../gen/envoy/config/route/v3/route_pb.ts'
import type { FilterOverrides, RouteConfiguration, VirtualHost } from '../model/route.ts'
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
}

/** Decodes `envoy.config.route.v3.RouteConfiguration`. Every domain may be there once only, in any case of letters. */
export function decodeRouteConfiguration(message: RouteConfigurationMessage, problems: Problems): RouteConfiguration {
  if (message.vhds !== undefined) problems.addAt('vhds', 'is not supported')
  const inherited: Inherited = {
    mirrors: decodeMirrorPolicies(message.requestMirrorPolicies, problems),
    filterOverrides: decodeFilterOverrides(message.typedPerFilterConfig, problems),
    maxBodyBytes: message.maxDirectResponseBodySizeBytes ?? defaultMaxBodyBytes,
  }
  const owners = new Map<string, string>()
  return {
    name: message.name,
    virtualHosts: message.virtualHosts.map((virtualHost, index) => {
      const at = problems.at('virtual_hosts', index)
      checkDomains(virtualHost, owners, at)
      return decodeVirtualHost(virtualHost, inherited, at)
    }),
    headerMutations: decodeHeaderMutations(message, problems),
    ignorePortInHostMatching: message.ignorePortInHostMatching,
    mostSpecificHeaderMutationsWins: message.mostSpecificHeaderMutationsWins,
  }
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
  problems.required('name', message.name)
  if (message.matcher !== undefined) problems.addAt('matcher', 'is not supported')
  if (message.retryPolicyTypedConfig !== undefined) problems.addAt('retry_policy_typed_config', 'is not supported')
  const mirrors = decodeMirrorPolicies(message.requestMirrorPolicies, problems)
  const scope = {
    defaults: {
      mirrors: mirrors.length > 0 ? mirrors : inherited.mirrors,
      hedgeOnPerTryTimeout: message.hedgePolicy?.hedgeOnPerTryTimeout ?? false,
    },
    maxBodyBytes: inherited.maxBodyBytes,
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
