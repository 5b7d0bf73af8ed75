import type { HashRequest } from './hash-policy.ts'
import { cookieValue } from './hash-policy.ts'

/** How a caller comes back to the endpoint that it was served by (`envoy.filters.http.stateful_session`; gRFC A55). */
export interface StatefulSession {
  readonly state:
    | {
        readonly kind: 'cookie'
        readonly name: string
        /** Requests for other paths have no session; empty: every path. */
        readonly path: string
        /** 0: until the caller's own session ends. */
        readonly ttlMs: number
      }
    | { readonly kind: 'header'; readonly name: string }
  /** The request fails when its endpoint cannot be used; else it is balanced. */
  readonly isStrict: boolean
}

/** Whom a request is to go to. */
export interface SessionTarget {
  /** `address:port`; IPv6 in brackets. */
  readonly address: string
  /** Empty where the session does not say (gRFC A60). */
  readonly cluster: string
}

/** A header to add to an answer. */
export interface SessionHeader {
  readonly name: string
  readonly value: string
}

/** A session to keep, ready for requests. */
export class CompiledStatefulSession {
  readonly config: StatefulSession

  constructor(config: StatefulSession) {
    this.config = config
  }

  /** Whom the request names, or `null`. What cannot be read names nobody. */
  target(request: HashRequest, wallNow: number): SessionTarget | null {
    const { state } = this.config
    if (state.kind === 'header') {
      const value = request.header(state.name)
      return parse(typeof value === 'string' ? value : value?.[0], wallNow)
    }
    return matchesPath(request.path, state.path) ? parse(cookieValue(request.header('cookie'), state.name), wallNow) : null
  }

  /**
   * What tells the caller where to come back to; `null` when it knows.
   *
   * @param isGrpc gRPC's cookie names the cluster (gRFC A60), Envoy's does not and has an end of its own
   */
  answer(
    request: HashRequest,
    named: SessionTarget | null,
    served: SessionTarget,
    isGrpc: boolean,
    wallNow: number,
  ): SessionHeader | null {
    const { state } = this.config
    const isKnown = named?.address === served.address && (!isGrpc || named.cluster === served.cluster)
    if (isKnown) return null
    if (state.kind === 'header') return { name: state.name, value: Buffer.from(served.address).toString('base64') }
    const { name, path, ttlMs } = state
    if (!matchesPath(request.path, path)) return null
    const text = isGrpc
      ? Buffer.from(`${served.address};${served.cluster}`)
      : envoyCookie(served.address, ttlMs === 0 ? 0 : Math.floor((wallNow + ttlMs) / 1000))
    const age = ttlMs === 0 ? '' : `; Max-Age=${Math.floor(ttlMs / 1000)}`
    const value = `${name}="${text.toString('base64')}"${age}${path === '' ? '' : `; Path=${path}`}; HttpOnly`
    return { name: 'set-cookie', value }
  }
}

/** The rule of cookies (RFC 6265 section 5.1.4). */
function matchesPath(requestPath: string, cookiePath: string): boolean {
  if (cookiePath === '') return true
  if (!requestPath.startsWith(cookiePath)) return false
  const next = requestPath[cookiePath.length] ?? ''
  return cookiePath.endsWith('/') || ['', '/', '?', '#'].includes(next)
}

const addressPattern = /^(\[[0-9a-fA-F:.]+\]|[0-9.]+):\d{1,5}$/

/** Base64 of `address;cluster` (gRPC), of `address`, or of a message with the address and an end in seconds (Envoy). */
function parse(value: string | undefined, wallNow: number): SessionTarget | null {
  if (value === undefined || value === '') return null
  const bytes = Buffer.from(value, 'base64')
  const text = bytes.toString('latin1')
  const [addresses = '', cluster = ''] = text.split(';', 2)
  // Of several addresses of one endpoint (gRFC A61), the first.
  const [address = ''] = addresses.split(',', 1)
  if (addressPattern.test(address)) return { address, cluster }
  return parseEnvoyCookie(bytes, wallNow)
}

/**
 * An end is on the wall clock, as ours and of Envoy 1.40; of an older Envoy it is on the monotonic clock of its machine (1.36; envoy issue
 * #44111), of which nobody else knows anything, and it is left to the caller, who was told `Max-Age`. To such an Envoy our ends are far ahead.
 * The clocks cannot be taken for each other: no machine has been up for 31 years.
 */
const firstWallClockS = 1e9

/** `envoy.Cookie {string address = 1; uint64 expires = 2}` */
function envoyCookie(address: string, expiresS: number): Buffer {
  const bytes = [0x0a, address.length, ...Buffer.from(address)]
  if (expiresS > 0) {
    bytes.push(0x10)
    let left = expiresS
    for (; left > 127; left = Math.floor(left / 128)) bytes.push((left % 128) | 128)
    bytes.push(left)
  }
  return Buffer.from(bytes)
}

function parseEnvoyCookie(bytes: Buffer, wallNow: number): SessionTarget | null {
  const length = bytes[1] ?? 0
  if (bytes[0] !== 0x0a || length > 127 || bytes.length < 2 + length) return null
  const address = bytes.toString('latin1', 2, 2 + length)
  if (!addressPattern.test(address)) return null
  if (bytes[2 + length] === 0x10) {
    let expiresS = 0
    for (let at = 3 + length, unit = 1; at < bytes.length; at++, unit *= 128) expiresS += ((bytes[at] ?? 0) & 127) * unit
    if (expiresS >= firstWallClockS && expiresS * 1000 < wallNow) return null
  }
  return { address, cluster: '' }
}
