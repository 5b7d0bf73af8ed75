import type { Any } from '@bufbuild/protobuf/wkt'
import { denyEverything } from '../../policies/rbac/rbac-rules.ts'
import type { HttpFilter as HttpFilterMessage } from '../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts'
import { filterConfigType, httpFaultType, routerType } from '../message-types.ts'
import type { FilterConfig, HttpFilter } from '../model/listener.ts'
import type { FilterOverrides } from '../model/route.ts'
import { readTypedConfig, type TypedConfig, typeName } from './any.ts'
import { decodeExtAuthz, decodeExtAuthzPerRoute, isExtAuthzFilter, isExtAuthzPerRoute } from './ext-authz.ts'
import { decodeFault } from './fault.ts'
import { decodeJwtAuthn, jwtAuthnType } from './jwt-authn.ts'
import type { Problems } from './problems.ts'
import { decodeRbac, isRbac, isRbacFilter } from './rbac.ts'
import { decodeStatefulSession, isStatefulSession } from './stateful-session.ts'

/**
 * Filters that have nothing to do in the process that makes the call, so that leaving them out weakens nothing: browsers'
 * preflights, telemetry, what only concerns mutual TLS between sidecars. Authorization, authentication and rate limits are not
 * among them: a client that cannot enforce one says so.
 */
const withoutEffect: ReadonlySet<string> = new Set([
  'envoy.extensions.filters.http.cors.v3.Cors',
  'envoy.extensions.filters.http.cors.v3.CorsPolicy',
  'envoy.extensions.filters.http.grpc_stats.v3.FilterConfig',
  'envoy.extensions.filters.http.grpc_web.v3.GrpcWeb',
  'envoy.extensions.filters.http.on_demand.v3.OnDemand',
  'envoy.extensions.filters.http.on_demand.v3.PerRouteConfig',
  'envoy.extensions.filters.http.tap.v3.Tap',
  'envoy.config.route.v3.CorsPolicy',
  'io.istio.http.peer_metadata.Config',
  'istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig',
  'stats.PluginConfig',
])

/** Who runs the filters: the process that calls, or the one that is called. */
export type FilterSide = 'client' | 'server'

/** Decodes `HttpConnectionManager.http_filters`: in order, names unique, the router last (gRFC A39) and left out of the result. */
export function decodeHttpFilters(
  messages: readonly HttpFilterMessage[],
  problems: Problems,
  side: FilterSide = 'client',
): readonly HttpFilter[] {
  const filters: HttpFilter[] = []
  const names = new Set<string>()
  messages.forEach((message, index) => {
    const at = problems.at('http_filters', index)
    if (at.required('name', message.name) !== '' && names.has(message.name)) at.addAt('name', `"${message.name}" is there twice`)
    names.add(message.name)
    const isLast = index === messages.length - 1
    if (isRouter(message)) {
      if (!isLast) at.add('the router must be the last filter')
      return
    }
    if (isLast) problems.addAt('http_filters', 'must end with the router')
    filters.push({ name: message.name, config: decodeHttpFilter(message, at, side) })
  })
  if (messages.length === 0) problems.addAt('http_filters', 'must end with the router')
  return filters
}

function isRouter({ configType }: HttpFilterMessage): boolean {
  return configType.case === 'typedConfig' && readTypedConfig(configType.value).type === routerType.typeName
}

function decodeHttpFilter(message: HttpFilterMessage, problems: Problems, side: FilterSide): FilterConfig {
  const { name, configType, isOptional, disabled } = message
  if (configType.case !== 'typedConfig') {
    const what = configType.case === undefined ? 'without typed_config' : 'by config_discovery'
    if (!isOptional) problems.add(`HTTP filter "${name}" ${what} is not supported`)
    return { kind: 'ignored', typeUrl: '' }
  }
  const config = decodeFilterConfig(name, configType.value, isOptional, problems, side)
  return disabled ? { kind: 'disabled' } : config
}

/** Decodes `typed_per_filter_config`. */
export function decodeFilterOverrides(overrides: Readonly<Record<string, Any>>, problems: Problems): FilterOverrides {
  const decoded: Record<string, FilterConfig> = {}
  for (const [name, any] of Object.entries(overrides)) {
    decoded[name] = decodeOverride(name, any, problems.at(`typed_per_filter_config["${name}"]`))
  }
  return decoded
}

function decodeOverride(name: string, any: Any, problems: Problems): FilterConfig {
  const typed = readTypedConfig(any)
  if (typed.type !== filterConfigType.typeName) return decodeFilterConfig(name, any, false, problems)
  const wrapper = typed.as(filterConfigType, problems)
  if (wrapper === undefined) return { kind: 'ignored', typeUrl: any.typeUrl }
  if (wrapper.disabled) return { kind: 'disabled' }
  return decodeFilterConfig(name, wrapper.config, wrapper.isOptional, problems)
}

/** Messages without generated types have no JSON mapping. */
const isReadByNumber = (type: string) => type === jwtAuthnType || isStatefulSession(type)

/** @param side `undefined`: of a route, which either may have */
function decodeFilterConfig(
  name: string,
  any: Any | undefined,
  isOptional: boolean,
  problems: Problems,
  side?: FilterSide,
): FilterConfig {
  const typed: TypedConfig = readTypedConfig(any)
  if (typed.type === httpFaultType.typeName) {
    const fault = typed.as(httpFaultType, problems)
    if (fault !== undefined) return { kind: 'fault', fault: decodeFault(fault, problems) }
  } else if (isReadByNumber(typed.type) && typeName(any?.typeUrl ?? '') !== typed.type) {
    problems.add(`${typed.type} as a TypedStruct is not supported`)
  } else if (isStatefulSession(typed.type) && side !== 'server' && any !== undefined) {
    return decodeStatefulSession(any, problems)
  } else if (typed.type === jwtAuthnType && side !== 'client' && any !== undefined) {
    const jwtAuthn = decodeJwtAuthn(any, problems)
    if (jwtAuthn !== undefined) return { kind: 'jwt-authn', jwtAuthn }
  } else if (isRbac(typed.type) && (side !== 'client' || !isRbacFilter(typed.type))) {
    return { kind: 'rbac', rbac: decodeRbac(any, problems) ?? denyEverything }
  } else if (isExtAuthzFilter(typed.type) && side !== 'client') {
    const extAuthz = decodeExtAuthz(any, problems)
    return extAuthz === undefined ? { kind: 'rbac', rbac: denyEverything } : { kind: 'ext-authz', extAuthz }
  } else if (isExtAuthzPerRoute(typed.type)) {
    const settings = decodeExtAuthzPerRoute(any, problems)
    if (settings === 'disabled') return { kind: 'disabled' }
    return settings === undefined ? { kind: 'rbac', rbac: denyEverything } : { kind: 'check-settings', settings }
  } else if (!isOptional && !withoutEffect.has(typed.type)) {
    problems.add(`HTTP filter "${name}" of type "${typed.type}" is not supported on a ${side ?? 'client'} and not optional`)
  }
  return { kind: 'ignored', typeUrl: any?.typeUrl ?? '' }
}
