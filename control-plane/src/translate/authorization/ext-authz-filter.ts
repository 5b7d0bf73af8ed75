import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { ApiVersion } from 'inmesh/gen/envoy/config/core/v3/config_source_pb'
import {
  type AuthorizationResponseSchema,
  ExtAuthzSchema,
} from 'inmesh/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb'
import {
  type HttpFilter,
  HttpFilterSchema,
} from 'inmesh/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb'
import type { ListStringMatcherSchema } from 'inmesh/gen/envoy/type/matcher/v3/string_pb'
import { StatusCode } from 'inmesh/gen/envoy/type/v3/http_status_pb'
import type { ExtensionProvider, HttpProvider } from '../../model/extension-provider.ts'
import type { MeshService } from '../../model/mesh-service.ts'
import { compareText } from '../../model/object-meta.ts'
import { clusterName } from '../cluster-name.ts'
import { pack } from '../config-source.ts'
import { beginningWith, endingWith, exactly } from './value-matchers.ts'

type ExtAuthz = Exclude<MessageInitShape<typeof ExtAuthzSchema>, { $typeName: string }>
type Headers = MessageInitShape<typeof ListStringMatcherSchema>

/** Name of every filter that asks an authorizer. */
export const extAuthzFilterName = 'envoy.filters.http.ext_authz'
/** Prefix of what the shadow rules leave behind that say whom an authorizer is asked about. */
export const shadowStatPrefix = 'istio_ext_authz_'
/** Before the names of the policies of a provider. */
export const policyPrefix = (provider: string): string => `istio-ext-authz-${provider}-`

/**
 * The filter that asks the authorizer of a provider about what the shadow rules before it have matched, as Istio's pilot makes it.
 *
 * @returns `undefined` when no service is known by its name, or not on its port
 */
export function extAuthzFilter(provider: ExtensionProvider, services: ReadonlyMap<string, MeshService>): HttpFilter | undefined {
  const host = hostOf(provider, services)
  if (host === undefined) return undefined
  const { name, failOpen, statusOnError, body, clearsRouteCache } = provider
  const status = Object.values(StatusCode).find(code => code === statusOnError)
  const config: ExtAuthz = {
    services: serviceOf(provider, host),
    transportApiVersion: ApiVersion.V3,
    failureModeAllow: failOpen,
    clearRouteCache: clearsRouteCache,
    ...(status === undefined ? {} : { statusOnError: { code: status } }),
    ...(body === undefined ? {} : { withRequestBody: body }),
    filterEnabledMetadata: {
      filter: 'envoy.filters.http.rbac',
      path: [{ segment: { case: 'key', value: `${shadowStatPrefix}shadow_effective_policy_id` } }],
      value: { matchPattern: { case: 'stringMatch', value: beginningWith(policyPrefix(name)) } },
    },
  }
  const value = pack(ExtAuthzSchema, config)
  return create(HttpFilterSchema, { name: extAuthzFilterName, configType: { case: 'typedConfig', value } })
}

/** A service is named by its host, and by its namespace too where that is said. */
function hostOf({ service, port }: ExtensionProvider, services: ReadonlyMap<string, MeshService>): string | undefined {
  const slash = service.indexOf('/')
  const found = services.get(service.slice(slash + 1))
  const isMeant = found !== undefined && (slash < 0 || found.namespace === service.slice(0, slash))
  return isMeant && found.ports.some(({ number }) => number === port) ? found.host : undefined
}

function serviceOf({ port, timeoutMs, http }: ExtensionProvider, host: string): NonNullable<ExtAuthz['services']> {
  const cluster = clusterName(port, '', host)
  const timeout = { seconds: BigInt(Math.floor(timeoutMs / 1000)), nanos: (timeoutMs % 1000) * 1_000_000 }
  if (http === undefined) {
    const targetSpecifier = { case: 'envoyGrpc' as const, value: { clusterName: cluster, authority: host } }
    return { case: 'grpcService', value: { targetSpecifier, timeout } }
  }
  const additional = Object.entries(http.includeAdditionalHeaders).sort(([a], [b]) => compareText(a, b))
  const allowed = headersOf(http.includeRequestHeaders)
  return {
    case: 'httpService',
    value: {
      pathPrefix: http.pathPrefix,
      serverUri: { uri: `http://${host}`, httpUpstreamType: { case: 'cluster', value: cluster }, timeout },
      authorizationRequest: {
        ...(allowed === undefined ? {} : { allowedHeaders: allowed }),
        headersToAdd: additional.map(([key, value]) => ({ key, value })),
      },
      authorizationResponse: answerOf(http),
    },
  }
}

function answerOf(http: HttpProvider): MessageInitShape<typeof AuthorizationResponseSchema> {
  const [upstream, denied, allowed] = [
    headersOf(http.headersToUpstreamOnAllow),
    headersOf(http.headersToDownstreamOnDeny),
    headersOf(http.headersToDownstreamOnAllow),
  ]
  return {
    ...(upstream === undefined ? {} : { allowedUpstreamHeaders: upstream }),
    ...(denied === undefined ? {} : { allowedClientHeaders: denied }),
    ...(allowed === undefined ? {} : { allowedClientHeadersOnSuccess: allowed }),
  }
}

/** `*suffix`, `prefix*` or a name. */
function headersOf(names: readonly string[]): Headers | undefined {
  if (names.length === 0) return undefined
  const patterns = names.map(name => {
    if (name.startsWith('*')) return endingWith(name.slice(1), true)
    return name.endsWith('*') ? beginningWith(name.slice(0, -1), true) : exactly(name, true)
  })
  return { patterns }
}
