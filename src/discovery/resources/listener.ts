import type { Filter, FilterChain } from '../gen/envoy/config/listener/v3/listener_components_pb.ts'
import type { Listener as ListenerMessage } from '../gen/envoy/config/listener/v3/listener_pb.ts'
import type { HttpConnectionManager as HttpConnectionManagerMessage } from '../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts'
import { httpConnectionManagerType } from '../message-types.ts'
import type { Listener } from '../model/listener.ts'
import { readTypedConfig } from './any.ts'
import { decodeHttpConnectionManager } from './http-connection-manager.ts'
import type { Problems } from './problems.ts'

/**
 * Decodes `envoy.config.listener.v3.Listener`: an `api_listener`, or the first filter chain that holds an
 * `HttpConnectionManager`, as a listener made for Envoy does.
 */
export function decodeListener(message: ListenerMessage, problems: Problems): Listener | undefined {
  problems.required('name', message.name)
  const found = findConnectionManager(message, problems)
  if (found === undefined) return undefined
  return { name: message.name, http: decodeHttpConnectionManager(found.message, found.problems) }
}

/** Whether {@link decodeListener} finds something to decode: a TCP listener of an Envoy file has nothing for a client. */
export function isHttpListener(message: ListenerMessage): boolean {
  const chains =
    message.defaultFilterChain === undefined ? message.filterChains : [...message.filterChains, message.defaultFilterChain]
  return message.apiListener !== undefined || chains.some(chain => chain.filters.some(isConnectionManager))
}

function isConnectionManager({ configType }: Filter): boolean {
  return configType.case === 'typedConfig' && readTypedConfig(configType.value).type === httpConnectionManagerType.typeName
}

interface Found {
  readonly message: HttpConnectionManagerMessage
  readonly problems: Problems
}

function findConnectionManager(message: ListenerMessage, problems: Problems): Found | undefined {
  if (message.apiListener !== undefined) {
    const at = problems.at('api_listener')
    const typed = readTypedConfig(message.apiListener.apiListener)
    if (typed.type !== httpConnectionManagerType.typeName) {
      at.add(`must be an HttpConnectionManager, got "${typed.type}"`)
      return undefined
    }
    const decoded = typed.as(httpConnectionManagerType, at)
    return decoded && { message: decoded, problems: at }
  }
  for (const [index, chain] of message.filterChains.entries()) {
    const found = inChain(chain, problems.at('filter_chains', index))
    if (found !== null) return found
  }
  if (message.defaultFilterChain !== undefined) {
    const found = inChain(message.defaultFilterChain, problems.at('default_filter_chain'))
    if (found !== null) return found
  }
  problems.add('has neither an api_listener nor a filter chain with an HttpConnectionManager')
  return undefined
}

/** `null`: there is none in this chain. `undefined`: there is, and it cannot be parsed. */
function inChain(chain: FilterChain, problems: Problems): Found | null | undefined {
  for (const [index, filter] of chain.filters.entries()) {
    if (filter.configType.case !== 'typedConfig') continue
    const typed = readTypedConfig(filter.configType.value)
    if (typed.type !== httpConnectionManagerType.typeName) continue
    const at = problems.at('filters', index)
    const message = typed.as(httpConnectionManagerType, at)
    return message && { message, problems: at }
  }
  return null
}
