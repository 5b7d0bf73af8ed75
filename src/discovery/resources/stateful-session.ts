import type { Any } from '@bufbuild/protobuf/wkt'
import type { StatefulSession } from '../../policies/stateful-session.ts'
import type { FilterConfig } from '../model/listener.ts'
import type { Problems } from './problems.ts'
import { type Fields, numberOf, readFields, textOf } from './raw-fields.ts'

/** No package has generated types for these. */
const filterType = 'envoy.extensions.filters.http.stateful_session.v3.StatefulSession'
const perRouteType = 'envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute'
const cookieType = 'envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState'
const headerType = 'envoy.extensions.http.stateful_session.header.v3.HeaderBasedSessionState'

/** Whether it is the filter, or what a route makes of it. */
export const isStatefulSession = (type: string): boolean => type === filterType || type === perRouteType

/** Decodes `StatefulSession` and `StatefulSessionPerRoute` (gRFC A55), by their field numbers. */
export function decodeStatefulSession({ typeUrl, value }: Any, problems: Problems): FilterConfig {
  try {
    if (typeUrl.endsWith(filterType)) return decodeFilter(value, problems)
    const fields = readFields(value, { 1: 'disabled', 2: 'stateful_session' }, problems)
    const own = fields.get(2)?.[0]
    return own === undefined ? { kind: 'disabled' } : decodeFilter(own, problems.at('stateful_session'))
  } catch (error) {
    problems.add(`cannot be read: ${error instanceof Error ? error.message : String(error)}`)
    return { kind: 'disabled' }
  }
}

function decodeFilter(bytes: Uint8Array, problems: Problems): FilterConfig {
  const fields = readFields(bytes, { 1: 'session_state', 2: 'strict', 3: 'stat_prefix' }, problems)
  const [state] = fields.get(1) ?? []
  if (state === undefined) return { kind: 'disabled' }
  const at = problems.at('session_state')
  const extension = readFields(state, { 1: 'name', 2: 'typed_config' }, at)
  const any = readFields(extension.get(2)?.[0] ?? new Uint8Array(), { 1: 'type_url', 2: 'value' }, at)
  const decoded = decodeState(textOf(any, 1), any.get(2)?.[0] ?? new Uint8Array(), at.at('typed_config'))
  if (decoded === undefined) return { kind: 'disabled' }
  return { kind: 'stateful-session', session: { state: decoded, isStrict: numberOf(fields, 2) === 1 } }
}

function decodeState(typeUrl: string, bytes: Uint8Array, problems: Problems): StatefulSession['state'] | undefined {
  if (typeUrl.endsWith(headerType)) {
    const name = problems.required('name', textOf(readFields(bytes, { 1: 'name' }, problems), 1))
    return { kind: 'header', name: name.toLowerCase() }
  }
  if (!typeUrl.endsWith(cookieType)) {
    problems.add(`"${typeUrl}" is not supported`)
    return undefined
  }
  const [cookie] = readFields(bytes, { 1: 'cookie' }, problems).get(1) ?? []
  const at = problems.at('cookie')
  // Attributes are for browsers.
  const fields = readFields(cookie ?? new Uint8Array(), { 1: 'name', 2: 'ttl', 3: 'path', 4: 'attributes' }, at)
  return { kind: 'cookie', name: at.required('name', textOf(fields, 1)), path: textOf(fields, 3), ttlMs: ttlOf(fields, at) }
}

function ttlOf(fields: Fields, problems: Problems): number {
  const [ttl] = fields.get(2) ?? []
  if (ttl === undefined) return 0
  const seconds = readFields(ttl, { 1: 'seconds', 2: 'nanos' }, problems)
  // A negative one is an unsigned number of 64 bits here.
  const ms = numberOf(seconds, 1) * 1000 + numberOf(seconds, 2) / 1e6
  if (ms > Number.MAX_SAFE_INTEGER) problems.addAt('ttl', 'must not be negative')
  return ms
}
