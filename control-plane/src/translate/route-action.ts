import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { durationFromMs } from '@bufbuild/protobuf/wkt'
import {
  RouteAction_ClusterNotFoundResponseCode as ClusterNotFound,
  type RedirectAction,
  RedirectActionSchema,
  RedirectAction_RedirectResponseCode as ResponseCode,
  type RouteAction,
  type RouteAction_HashPolicy,
  RouteAction_HashPolicySchema,
  RouteActionSchema,
  type WeightedCluster_ClusterWeightSchema,
} from 'inmesh/gen/envoy/config/route/v3/route_components_pb'
import { type RegexMatchAndSubstitute, RegexMatchAndSubstituteSchema } from 'inmesh/gen/envoy/type/matcher/v3/regex_pb'
import type { HashKey } from '../model/destination-rule.ts'
import type { MeshRouting } from '../model/mesh-model.ts'
import type {
  Destination,
  HeaderOperations,
  HttpForward,
  HttpRedirect,
  HttpRewrite,
  WeightedDestination,
} from '../model/virtual-service.ts'
import { clusterName } from './cluster-name.ts'
import { authorityOf, headerOptions } from './header-options.ts'
import { fractionalPercent } from './percent.ts'
import { translateRetries } from './retry-policy.ts'
import type { TrafficPolicies } from './traffic-policies.ts'
import type { View } from './view.ts'

/** Where a route stands. */
export interface RouteScope {
  readonly view: View
  readonly routing: MeshRouting
  readonly policies: TrafficPolicies
  /** Port on which the service is called. */
  readonly port: number
}

const responseCodes = {
  301: ResponseCode.MOVED_PERMANENTLY,
  302: ResponseCode.FOUND,
  303: ResponseCode.SEE_OTHER,
  307: ResponseCode.TEMPORARY_REDIRECT,
  308: ResponseCode.PERMANENT_REDIRECT,
} as const

/** Translates `route` and all that goes with it. */
export function translateForward(forward: HttpForward, headers: HeaderOperations | undefined, scope: RouteScope): RouteAction {
  const { destinations, rewrite, retries, mirrors } = forward
  const [only] = destinations
  const single = destinations.length === 1 && only ? only : undefined
  const authority = rewrite?.authority || authorityOf(headers) || authorityOf(single?.headers)
  const picked = destinations.filter(({ weight }) => single || weight > 0)
  const keys = picked.map(({ destination }) => hashKeyOf(destination, scope))
  return create(RouteActionSchema, {
    clusterSpecifier: single
      ? { case: 'cluster', value: destinationCluster(single.destination, scope) }
      : { case: 'weightedClusters', value: { clusters: picked.map(each => clusterWeight(each, scope)) } },
    ...(forward.missingStatus === 500 ? { clusterNotFoundResponseCode: ClusterNotFound.INTERNAL_SERVER_ERROR } : {}),
    ...timeouts(forward.timeoutMs, scope.view),
    ...pathRewrite(rewrite),
    ...(authority === '' ? {} : { hostRewriteSpecifier: { case: 'hostRewriteLiteral', value: authority } }),
    ...optional('retryPolicy', translateRetries(retries, single !== undefined && keys.some(Boolean), scope.view)),
    hashPolicy: keys.flatMap(key => (key ? [hashPolicy(key)] : [])),
    requestMirrorPolicies: mirrors.map(({ destination, percentage }) => ({
      cluster: destinationCluster(destination, scope),
      runtimeFraction: { defaultValue: fractionalPercent(percentage) },
      traceSampled: false,
      disableShadowHostSuffixAppend: true,
    })),
  })
}

/** The action of a service that no VirtualService rules. */
export function defaultForward(host: string, scope: RouteScope): RouteAction {
  const key = scope.policies.ofCluster(host, '', scope.port).loadBalancer?.policy
  const hash = typeof key === 'object' ? key.key : undefined
  return create(RouteActionSchema, {
    clusterSpecifier: { case: 'cluster', value: clusterName(scope.port, '', host) },
    ...timeouts(undefined, scope.view),
    ...optional('retryPolicy', translateRetries(undefined, false, scope.view)),
    hashPolicy: hash ? [hashPolicy(hash)] : [],
  })
}

/** Translates `redirect`. The port that the scheme means by itself is left out. */
export function translateRedirect(redirect: HttpRedirect, port: number): RedirectAction {
  const { scheme } = redirect
  const wanted = redirect.port === 'request' ? port : (redirect.port ?? 0)
  const implied = (scheme || 'http') === 'https' ? 443 : 80
  return create(RedirectActionSchema, {
    hostRedirect: redirect.authority,
    responseCode: responseCodes[redirect.status],
    portRedirect: wanted === implied ? 0 : wanted,
    ...(scheme === '' ? {} : { schemeRewriteSpecifier: { case: 'schemeRedirect', value: scheme } }),
    pathRewriteSpecifier: redirectedPath(redirect),
  })
}

function redirectedPath({ uri, prefixRewrite, uriRegex }: HttpRedirect): RedirectAction['pathRewriteSpecifier'] {
  if (uriRegex) return { case: 'regexRewrite', value: substitution(uriRegex) }
  return prefixRewrite === '' ? { case: 'pathRedirect', value: uri } : { case: 'prefixRewrite', value: prefixRewrite }
}

function clusterWeight(
  { destination, weight, headers }: WeightedDestination,
  scope: RouteScope,
): MessageInitShape<typeof WeightedCluster_ClusterWeightSchema> {
  const authority = authorityOf(headers)
  return {
    name: destinationCluster(destination, scope),
    weight,
    ...headerOptions(headers),
    ...(authority === '' ? {} : { hostRewriteSpecifier: { case: 'hostRewriteLiteral', value: authority } }),
  }
}

/**
 * The cluster of a destination, which need not exist: then its share of the calls fails. A destination without port is the only port
 * of the service, as the API documents it, else the port that was called.
 */
function destinationCluster(destination: Destination, scope: RouteScope): string {
  return clusterName(destinationPort(destination, scope), destination.subset, destination.host)
}

function destinationPort({ host, port }: Destination, scope: RouteScope): number {
  if (port !== undefined) return port
  const ports = scope.routing.services.get(host)?.ports ?? []
  return ports.length === 1 ? (ports[0]?.number ?? scope.port) : scope.port
}

function hashKeyOf(destination: Destination, scope: RouteScope): HashKey | undefined {
  const { loadBalancer } = scope.policies.ofCluster(destination.host, destination.subset, destinationPort(destination, scope))
  return typeof loadBalancer?.policy === 'object' ? loadBalancer.policy.key : undefined
}

function hashPolicy(key: HashKey): RouteAction_HashPolicy {
  switch (key.kind) {
    case 'header':
      return create(RouteAction_HashPolicySchema, { policySpecifier: { case: 'header', value: { headerName: key.name } } })
    case 'query-parameter':
      return create(RouteAction_HashPolicySchema, { policySpecifier: { case: 'queryParameter', value: { name: key.name } } })
    case 'source-ip':
      return create(RouteAction_HashPolicySchema, {
        policySpecifier: { case: 'connectionProperties', value: { sourceIp: true } },
      })
    case 'cookie': {
      const ttl = key.ttlMs === undefined ? {} : { ttl: durationFromMs(key.ttlMs) }
      return create(RouteAction_HashPolicySchema, {
        policySpecifier: { case: 'cookie', value: { name: key.name, path: key.path, ...ttl } },
      })
    }
  }
}

/** None unless one is given. gRPC obeys `grpc_timeout_header_max` alone, Envoy the deprecated field as well. */
function timeouts(
  timeoutMs: number | undefined,
  { kind }: View,
): Pick<MessageInitShape<typeof RouteActionSchema>, 'timeout' | 'maxGrpcTimeout' | 'maxStreamDuration'> {
  const timeout = durationFromMs(timeoutMs ?? 0)
  if (kind === 'envoy') return { timeout, maxGrpcTimeout: timeout }
  return timeoutMs === undefined ? { timeout } : { timeout, maxStreamDuration: { grpcTimeoutHeaderMax: timeout } }
}

const substitution = ({ match, rewrite }: NonNullable<HttpRewrite['uriRegex']>): RegexMatchAndSubstitute =>
  create(RegexMatchAndSubstituteSchema, { pattern: { regex: match }, substitution: rewrite })

function pathRewrite(
  rewrite: HttpRewrite | undefined,
): Pick<MessageInitShape<typeof RouteActionSchema>, 'prefixRewrite' | 'regexRewrite'> {
  if (rewrite?.uriRegex) return { regexRewrite: substitution(rewrite.uriRegex) }
  return rewrite?.uri ? { prefixRewrite: rewrite.uri } : {}
}

const optional = <Name extends string, Value>(name: Name, value: Value | undefined) =>
  (value === undefined ? {} : { [name]: value }) as { [Key in Name]?: Value }
