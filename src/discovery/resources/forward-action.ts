import type { MirrorPolicy } from '../../policies/mirror.ts'
import { compilePathTemplate, compilePathTemplateRewrite } from '../../policies/path-template.ts'
import type { RouteAction as RouteActionMessage } from '../gen/envoy/config/route/v3/route_components_pb.ts'
import { uriTemplateRewriteConfigType } from '../message-types.ts'
import type { ClusterSpecifier, ForwardAction, HostRewrite, PathMatch, PathRewrite } from '../model/route.ts'
import { readTypedConfig } from './any.ts'
import { optionalDurationMs, timeoutMs } from './duration.ts'
import { decodeHashPolicy } from './hash-policy.ts'
import { decodeMirrorPolicies } from './mirror-policy.ts'
import type { Problems } from './problems.ts'
import { decodeRegexSubstitution } from './regex.ts'
import { decodeRetryPolicy } from './retry-policy.ts'
import { decodeWeightedClusters } from './weighted-clusters.ts'

/** What a route takes over from its virtual host or route configuration when it says nothing itself (never merged). */
export interface RouteDefaults {
  readonly mirrors: readonly MirrorPolicy[]
  readonly hedgeOnPerTryTimeout: boolean
}

/** `RouteAction.timeout` of a route that has none. */
const defaultTimeoutMs = 15_000

const notFoundStatuses = [503, 404, 500] as const

/**
 * Decodes `RouteAction`.
 *
 * @returns `undefined` when the cluster specifier is one that is not understood: the route is then left out (gRFC A28)
 */
export function decodeForwardAction(
  message: RouteActionMessage,
  path: PathMatch,
  defaults: RouteDefaults,
  problems: Problems,
): ForwardAction | undefined {
  const clusters = decodeClusterSpecifier(message, problems)
  if (clusters === undefined) return undefined
  if (message.retryPolicyTypedConfig !== undefined) problems.addAt('retry_policy_typed_config', 'is not supported')
  return {
    kind: 'forward',
    clusters,
    clusterNotFoundStatus: notFoundStatuses[message.clusterNotFoundResponseCode] ?? 503,
    timeoutMs: message.timeout === undefined ? defaultTimeoutMs : timeoutMs(message.timeout, problems, 'timeout'),
    idleTimeoutMs: timeoutMs(message.idleTimeout, problems, 'idle_timeout'),
    maxStreamDuration: decodeMaxStreamDuration(message, problems),
    retryPolicy:
      message.retryPolicy === undefined ? undefined : decodeRetryPolicy(message.retryPolicy, problems.at('retry_policy')),
    pathRewrite: decodePathRewrite(message, path, problems),
    hostRewrite: decodeHostRewrite(message, problems),
    appendXForwardedHost: message.appendXForwardedHost,
    hashPolicies: message.hashPolicy
      .map((policy, index) => decodeHashPolicy(policy, problems.at('hash_policy', index)))
      .filter(policy => policy !== undefined),
    mirrors:
      message.requestMirrorPolicies.length > 0 ? decodeMirrorPolicies(message.requestMirrorPolicies, problems) : defaults.mirrors,
    hedgeOnPerTryTimeout: message.hedgePolicy?.hedgeOnPerTryTimeout ?? defaults.hedgeOnPerTryTimeout,
    priority: message.priority === 1 ? 'high' : 'default',
  }
}

function decodeClusterSpecifier(message: RouteActionMessage, problems: Problems): ClusterSpecifier | undefined {
  const specifier = message.clusterSpecifier
  switch (specifier.case) {
    case 'cluster':
      return { kind: 'cluster', name: problems.required('cluster', specifier.value) }
    case 'clusterHeader':
      return { kind: 'header', header: problems.required('cluster_header', specifier.value).toLowerCase() }
    case 'weightedClusters':
      return decodeWeightedClusters(specifier.value, problems.at('weighted_clusters'))
    default:
      return undefined
  }
}

function decodeMaxStreamDuration(message: RouteActionMessage, problems: Problems): ForwardAction['maxStreamDuration'] {
  const { maxStreamDuration, maxGrpcTimeout, grpcTimeoutOffset } = message
  if (maxStreamDuration !== undefined) {
    const at = problems.at('max_stream_duration')
    return {
      maxStreamDurationMs: optionalDurationMs(maxStreamDuration.maxStreamDuration, 'non-negative', at, 'max_stream_duration'),
      grpcTimeoutHeaderMaxMs: optionalDurationMs(
        maxStreamDuration.grpcTimeoutHeaderMax,
        'non-negative',
        at,
        'grpc_timeout_header_max',
      ),
      grpcTimeoutHeaderOffsetMs: optionalDurationMs(
        maxStreamDuration.grpcTimeoutHeaderOffset,
        'non-negative',
        at,
        'grpc_timeout_header_offset',
      ),
    }
  }
  // The deprecated pair, which Istio still writes for sidecars.
  if (maxGrpcTimeout === undefined) return undefined
  return {
    maxStreamDurationMs: undefined,
    grpcTimeoutHeaderMaxMs: optionalDurationMs(maxGrpcTimeout, 'non-negative', problems, 'max_grpc_timeout'),
    grpcTimeoutHeaderOffsetMs: optionalDurationMs(grpcTimeoutOffset, 'non-negative', problems, 'grpc_timeout_offset'),
  }
}

function decodePathRewrite(message: RouteActionMessage, path: PathMatch, problems: Problems): PathRewrite | undefined {
  const { prefixRewrite, regexRewrite, pathRewritePolicy } = message
  const given = [prefixRewrite !== '', regexRewrite !== undefined, pathRewritePolicy !== undefined].filter(Boolean).length
  if (given > 1) problems.add('only one of prefix_rewrite, regex_rewrite and path_rewrite_policy may be set')
  if (regexRewrite !== undefined) return { kind: 'regex', ...decodeRegexSubstitution(regexRewrite, problems.at('regex_rewrite')) }
  if (pathRewritePolicy !== undefined) {
    const at = problems.at('path_rewrite_policy')
    const typed = readTypedConfig(pathRewritePolicy.typedConfig)
    if (typed.type !== uriTemplateRewriteConfigType.typeName) {
      at.add(`"${typed.type}" is not supported`)
      return undefined
    }
    const template = typed.as(uriTemplateRewriteConfigType, at)?.pathTemplateRewrite ?? ''
    checkTemplateRewrite(template, path, at.at('path_template_rewrite'))
    return { kind: 'template', template }
  }
  return prefixRewrite === '' ? undefined : { kind: 'prefix', value: prefixRewrite }
}

function checkTemplateRewrite(template: string, path: PathMatch, problems: Problems): void {
  if (path.kind !== 'template') {
    problems.add('needs a route that matches by path_match_policy')
    return
  }
  const before = problems.found.length
  try {
    compilePathTemplateRewrite(template, compilePathTemplate(path.template))
  } catch (error) {
    if (problems.found.length === before) problems.add(error instanceof Error ? error.message : String(error))
  }
}

function decodeHostRewrite(message: RouteActionMessage, problems: Problems): HostRewrite | undefined {
  const specifier = message.hostRewriteSpecifier
  switch (specifier.case) {
    case 'hostRewriteLiteral':
      return specifier.value === '' ? undefined : { kind: 'literal', value: specifier.value }
    case 'autoHostRewrite':
      return specifier.value.value ? { kind: 'auto' } : undefined
    case 'hostRewriteHeader':
      return { kind: 'header', header: problems.required('host_rewrite_header', specifier.value).toLowerCase() }
    case 'hostRewritePathRegex':
      return { kind: 'path-regex', ...decodeRegexSubstitution(specifier.value, problems.at('host_rewrite_path_regex')) }
    default:
      return undefined
  }
}
