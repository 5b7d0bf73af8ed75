import type { Any } from '@bufbuild/protobuf/wkt'
import type {
  BodySettings,
  CheckSettings,
  ExtAuthzConfig,
  GrpcAuthorizer,
  HttpAuthorizer,
  NamedValue,
} from '../../policies/ext-authz/ext-authz-config.ts'
import { parseHeaderFormat } from '../../policies/header-format.ts'
import type { StringMatcher } from '../../policies/string-matcher.ts'
import type { HeaderValue } from '../gen/envoy/config/core/v3/base_pb.ts'
import type { GrpcService } from '../gen/envoy/config/core/v3/grpc_service_pb.ts'
import type { BufferSettings, ExtAuthz, HttpService } from '../gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.ts'
import type { ListStringMatcher } from '../gen/envoy/type/matcher/v3/string_pb.ts'
import { ApiVersion } from '../gen/tables.ts'
import { extAuthzPerRouteType, extAuthzType } from '../message-types.ts'
import { readTypedConfig, typeName } from './any.ts'
import { optionalDurationMs } from './duration.ts'
import { decodeMetadataMatcher } from './metadata-matcher.ts'
import { decodeRuntimeFraction } from './percent.ts'
import type { Problems } from './problems.ts'
import { decodeStringMatcher } from './string-matcher.ts'
import { refuseUnknownFields } from './unknown-fields.ts'

const { typeName: filterType } = extAuthzType
const { typeName: perRouteType } = extAuthzPerRouteType

/** Whether it is the filter's configuration. */
export function isExtAuthzFilter(type: string): boolean {
  return type === filterType
}

/** Whether it is what a route says of the filter. */
export function isExtAuthzPerRoute(type: string): boolean {
  return type === perRouteType
}

/** What other filters here leave behind. */
const metadataSources = ['envoy.filters.http.rbac', 'envoy.filters.http.jwt_authn', 'envoy.filters.http.ext_authz']

/**
 * Decodes `envoy.extensions.filters.http.ext_authz.v3.ExtAuthz`. Whatever would let more pass by being left out is an error.
 *
 * @returns `undefined` when there was a problem: such a filter must let nobody in
 */
export function decodeExtAuthz(any: Any | undefined, problems: Problems): ExtAuthzConfig | undefined {
  const before = problems.found.length
  const message = isWhole(any, problems) ? readTypedConfig(any).as(extAuthzType, problems) : undefined
  const config = message && decodeFilter(message, problems)
  return problems.found.length === before ? config : undefined
}

/**
 * Decodes `ExtAuthzPerRoute`.
 *
 * @returns `disabled`: the filter has no say on this route; `undefined` when there was a problem
 */
export function decodeExtAuthzPerRoute(any: Any | undefined, problems: Problems): CheckSettings | 'disabled' | undefined {
  const before = problems.found.length
  const message = isWhole(any, problems) ? readTypedConfig(any).as(extAuthzPerRouteType, problems) : undefined
  if (message === undefined) return undefined
  refuseUnknownFields(message, problems)
  const { case: kind, value } = message.override
  if (kind === 'disabled') {
    if (!value) problems.addAt('disabled', 'must be true')
    return problems.found.length === before ? 'disabled' : undefined
  }
  if (kind === undefined) {
    problems.addAt('override', 'is required')
    return undefined
  }
  const { contextExtensions, disableRequestBodyBuffering: disablesBody, withRequestBody } = value
  const at = problems.at('check_settings')
  if (disablesBody && withRequestBody !== undefined)
    at.addAt('with_request_body', 'must not be set together with disable_request_body_buffering')
  const settings = { contextExtensions, disablesBody, body: decodeBody(withRequestBody, at.at('with_request_body')) }
  return problems.found.length === before ? settings : undefined
}

/** Of JSON it cannot be told which fields were not known. */
function isWhole(any: Any | undefined, problems: Problems): boolean {
  const isTyped = readTypedConfig(any).type === typeName(any?.typeUrl ?? '')
  if (!isTyped) problems.add('must not be a TypedStruct')
  return isTyped
}

function decodeFilter(message: ExtAuthz, problems: Problems): ExtAuthzConfig {
  refuseUnknownFields(message, problems)
  refuseUnsupported(message, problems)
  const authorizer = decodeAuthorizer(message, problems)
  const ofService =
    message.services.case === 'httpService' ? message.services.value.authorizationRequest?.allowedHeaders : undefined
  if (ofService !== undefined && message.allowedHeaders !== undefined)
    problems.addAt('allowed_headers', 'must not be set together with that of http_service')
  const namedIn =
    ofService === undefined ? problems.at('allowed_headers') : problems.at('http_service.authorization_request.allowed_headers')
  const allowed = message.allowedHeaders ?? ofService
  const status = message.statusOnError?.code ?? 403
  if (status < 200 || status > 599) problems.addAt('status_on_error', `must be from 200 to 599, got ${status}`)
  const { filterEnabled, filterEnabledMetadata } = message
  return {
    authorizer,
    allowsOnFailure: message.failureModeAllow,
    marksFailure: message.failureModeAllowHeaderAdd,
    statusOnError: status,
    body: decodeBody(message.withRequestBody, problems.at('with_request_body')),
    allowedHeaders: allowed && decodeMatchers(allowed, namedIn),
    disallowedHeaders: decodeMatchers(message.disallowedHeaders, problems.at('disallowed_headers')),
    enabledFraction: filterEnabled && decodeRuntimeFraction(filterEnabled, problems.at('filter_enabled')),
    enabledMetadata:
      filterEnabledMetadata && decodeMetadataMatcher(filterEnabledMetadata, problems.at('filter_enabled_metadata')),
    deniesWhenDisabled: message.denyAtDisable?.defaultValue ?? false,
    clearsRoute: message.clearRouteCache,
    includesCertificate: message.includePeerCertificate,
    includesServerName: message.includeTlsSession,
    encodesRawHeaders: message.encodeRawHeaders,
    metadataNamespaces: message.metadataContextNamespaces,
    keepsMetadata: message.enableDynamicMetadataIngestion ?? true,
  }
}

/** What would change who passes, or what an authorizer decides by. */
function refuseUnsupported(message: ExtAuthz, problems: Problems): void {
  const { AUTO, V3 } = ApiVersion
  if (message.transportApiVersion !== V3 && message.transportApiVersion !== AUTO)
    problems.addAt('transport_api_version', 'must be V3')
  if (message.decoderHeaderMutationRules !== undefined) problems.addAt('decoder_header_mutation_rules', 'is not supported')
  if (message.bootstrapMetadataLabelsKey !== '') problems.addAt('bootstrap_metadata_labels_key', 'is not supported')
  if (message.routeMetadataContextNamespaces.length > 0) problems.addAt('route_metadata_context_namespaces', 'is not supported')
  if (message.routeTypedMetadataContextNamespaces.length > 0)
    problems.addAt('route_typed_metadata_context_namespaces', 'is not supported')
  if (message.typedMetadataContextNamespaces.length > 0) problems.addAt('typed_metadata_context_namespaces', 'is not supported')
  if (message.denyAtDisable !== undefined && message.denyAtDisable.defaultValue === undefined)
    problems.at('deny_at_disable').addAt('default_value', 'is required')
  const { filter = '', path = [] } = message.filterEnabledMetadata ?? {}
  const at = problems.at('filter_enabled_metadata')
  if (filter !== '' && !metadataSources.includes(filter))
    at.addAt('filter', `must be one of ${metadataSources.join(', ')}, got ${filter}`)
  const [key] = path
  // Of rules that are enforced nothing is left behind.
  if (filter === 'envoy.filters.http.rbac' && !/shadow_(effective_policy_id|engine_result)$/.test(key?.segment.value ?? ''))
    at.addAt('path', 'must be shadow_effective_policy_id or shadow_engine_result, with a prefix or without')
}

const nobody: GrpcAuthorizer = { kind: 'grpc', cluster: '', authority: '', timeoutMs: 200, metadata: [] }

function decodeAuthorizer({ services }: ExtAuthz, problems: Problems): GrpcAuthorizer | HttpAuthorizer {
  if (services.case === 'grpcService') return decodeGrpc(services.value, problems.at('grpc_service'))
  if (services.case === 'httpService') return decodeHttp(services.value, problems.at('http_service'))
  problems.addAt('services', 'is required')
  return nobody
}

function decodeGrpc({ targetSpecifier, timeout, initialMetadata }: GrpcService, problems: Problems): GrpcAuthorizer {
  if (targetSpecifier.case !== 'envoyGrpc') {
    problems.addAt('target_specifier', `must be envoy_grpc, got ${targetSpecifier.case ?? 'nothing'}`)
    return nobody
  }
  const { clusterName, authority } = targetSpecifier.value
  return {
    kind: 'grpc',
    cluster: problems.at('envoy_grpc').required('cluster_name', clusterName),
    authority: authority === '' ? clusterName : authority,
    timeoutMs: optionalDurationMs(timeout, 'non-negative', problems, 'timeout') ?? 200,
    metadata: decodeValues(initialMetadata, 'initial_metadata', problems),
  }
}

function decodeHttp(message: HttpService, problems: Problems): HttpAuthorizer {
  const { serverUri, pathPrefix, authorizationRequest, authorizationResponse: answer } = message
  const uri = problems.at('server_uri')
  if (serverUri?.timeout === undefined) uri.addAt('timeout', 'is required')
  if (pathPrefix !== '' && !pathPrefix.startsWith('/')) problems.addAt('path_prefix', `must begin with /, got ${pathPrefix}`)
  const at = problems.at('authorization_response')
  return {
    kind: 'http',
    cluster: uri.required('cluster', serverUri?.httpUpstreamType.value ?? ''),
    timeoutMs: optionalDurationMs(serverUri?.timeout, 'non-negative', uri, 'timeout') ?? 0,
    pathPrefix,
    headersToAdd: decodeValues(authorizationRequest?.headersToAdd ?? [], 'headers_to_add', problems.at('authorization_request')),
    upstreamHeaders: decodeMatchers(answer?.allowedUpstreamHeaders, at.at('allowed_upstream_headers')),
    upstreamHeadersToAppend: decodeMatchers(answer?.allowedUpstreamHeadersToAppend, at.at('allowed_upstream_headers_to_append')),
    clientHeaders: decodeMatchers(answer?.allowedClientHeaders, at.at('allowed_client_headers')),
    clientHeadersOnSuccess: decodeMatchers(answer?.allowedClientHeadersOnSuccess, at.at('allowed_client_headers_on_success')),
    metadataHeaders: decodeMatchers(answer?.dynamicMetadataFromHeaders, at.at('dynamic_metadata_from_headers')),
  }
}

function decodeMatchers(list: ListStringMatcher | undefined, problems: Problems): readonly StringMatcher[] {
  if (list === undefined) return []
  if (list.patterns.length === 0) problems.addAt('patterns', 'must not be empty')
  // Names are compared in lower case.
  return list.patterns.map((each, index) => {
    const matcher = decodeStringMatcher(each, problems.at('patterns', index))
    return matcher.kind === 'regex' ? matcher : { ...matcher, ignoreCase: true }
  })
}

function decodeValues(values: readonly HeaderValue[], field: string, problems: Problems): readonly NamedValue[] {
  return values.map(({ key, value, rawValue }, index) => {
    const at = problems.at(field, index)
    const name = at.required('key', key).toLowerCase()
    const text = rawValue.length > 0 ? Buffer.from(rawValue).toString('utf8') : value
    if (!/^[!#$%&'*+\-.^_`|~0-9a-z]*$/.test(name)) at.addAt('key', `"${key}" may not be set`)
    if (/[\r\n\0]/.test(text)) at.addAt('value', 'must not hold a line break or NUL')
    try {
      parseHeaderFormat(text)
    } catch (error) {
      at.addAt('value', error instanceof Error ? error.message : String(error))
    }
    return { name, value: text }
  })
}

function decodeBody(message: BufferSettings | undefined, problems: Problems): BodySettings | undefined {
  if (message === undefined) return undefined
  if (message.maxRequestBytes === 0) problems.addAt('max_request_bytes', 'must be > 0')
  return { maxBytes: message.maxRequestBytes, allowsPartial: message.allowPartialMessage, isRaw: message.packAsBytes }
}
