/** Which headers the caller gave, where that decides what fetch adds. */
export const given = {
  accept: 1,
  acceptLanguage: 2,
  userAgent: 4,
  acceptEncoding: 8,
  contentType: 16,
  range: 32,
  conditional: 64,
  pragma: 128,
  cacheControl: 256,
} as const

/** A cache mode of `RequestInit`. There is no cache here: a mode only adds the headers that ask other caches (Fetch, 4.6). */
export type CacheMode = 'default' | 'no-store' | 'reload' | 'no-cache' | 'force-cache' | 'only-if-cached'

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const printable = /^(?:[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?$/

/**
 * Appends the caller's headers to `list`, names and values in turn.
 *
 * @returns the {@link given} flags, or -1 where a header needs more than a glance: Node's own `Request` then judges all of them
 */
export function appendHeaders(list: string[], init: unknown): number {
  if (init === undefined) return 0
  if (typeof init !== 'object' || init === null) return -1
  let flags = 0
  if (Array.isArray(init) || init instanceof Headers) {
    for (const pair of init) {
      if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== 'string') return -1
      flags = append(list, flags, pair[0], pair[1])
      if (flags < 0) return -1
    }
    return flags
  }
  const prototype = Object.getPrototypeOf(init)
  if ((prototype !== Object.prototype && prototype !== null) || Symbol.iterator in init) return -1
  const names = Object.keys(init)
  for (let at = 0; at < names.length && flags >= 0; at++) {
    const name = names[at] ?? ''
    flags = append(list, flags, name, Reflect.get(init, name))
  }
  return flags
}

function append(list: string[], flags: number, name: string, value: unknown): number {
  if (typeof value === 'object' || typeof value === 'function' || typeof value === 'symbol') return -1
  const text = typeof value === 'string' ? value : String(value)
  if (!token.test(name) || !printable.test(text)) return -1
  const lower = name.toLowerCase()
  for (let at = 0; at < list.length; at += 2) {
    const before = list[at]
    if (before === undefined || before.length !== lower.length || before.toLowerCase() !== lower) continue
    list[at + 1] += (lower === 'cookie' ? '; ' : ', ') + text
    return flags
  }
  switch (lower) {
    case 'host':
    case 'sec-fetch-mode':
      return flags
    case 'accept':
      flags |= given.accept
      break
    case 'accept-language':
      flags |= given.acceptLanguage
      break
    case 'user-agent':
      flags |= given.userAgent
      break
    case 'accept-encoding':
      flags |= given.acceptEncoding
      break
    case 'content-type':
      flags |= given.contentType
      break
    case 'range':
      flags |= given.range
      break
    case 'pragma':
      flags |= given.pragma
      break
    case 'cache-control':
      flags |= given.cacheControl
      break
    case 'if-modified-since':
    case 'if-none-match':
    case 'if-unmodified-since':
    case 'if-match':
    case 'if-range':
      flags |= given.conditional
      break
  }
  list.push(name, text)
  return flags
}

/** Appends what fetch adds to every request that does not bring it (Fetch 4.1 and 4.6, with the values Node sends). */
export function appendDefaultHeaders(list: string[], flags: number, cache: CacheMode, isSecure: boolean): void {
  if ((flags & given.accept) === 0) list.push('accept', '*/*')
  if ((flags & given.acceptLanguage) === 0) list.push('accept-language', '*')
  list.push('sec-fetch-mode', 'cors')
  if ((flags & given.userAgent) === 0) list.push('user-agent', 'node')
  if (cache === 'no-cache') {
    if ((flags & given.cacheControl) === 0) list.push('cache-control', 'max-age=0')
  } else if (cache === 'no-store' || cache === 'reload' || (cache === 'default' && (flags & given.conditional) !== 0)) {
    if ((flags & given.pragma) === 0) list.push('pragma', 'no-cache')
    if ((flags & given.cacheControl) === 0) list.push('cache-control', 'no-cache')
  }
  if ((flags & given.range) !== 0) appendEncoding(list, 'identity')
  else if ((flags & given.acceptEncoding) === 0) list.push('accept-encoding', isSecure ? secureEncodings : plainEncodings)
}

/** All of {@link appendDefaultHeaders}, for a request that brings none. */
export function defaultHeaders(isSecure: boolean): string[] {
  return (isSecure ? secureDefaults : plainDefaults).slice()
}

/** What fetch accepts over TLS, and over plain HTTP, where old proxies garble newer codings. */
export const secureEncodings = 'br, gzip, deflate'
export const plainEncodings = 'gzip, deflate'

const plainDefaults: string[] = []
appendDefaultHeaders(plainDefaults, 0, 'default', false)
const secureDefaults: string[] = []
appendDefaultHeaders(secureDefaults, 0, 'default', true)

function appendEncoding(list: string[], coding: string): void {
  const at = list.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'accept-encoding')
  if (at < 0) list.push('accept-encoding', coding)
  else list[at + 1] += `, ${coding}`
}

/** Removes the headers whose lower-case names are in `names`, in place. */
export function removeHeaders(list: string[], names: ReadonlySet<string>): void {
  let kept = 0
  for (let at = 0; at + 1 < list.length; at += 2) {
    const name = list[at] ?? ''
    if (names.has(name.toLowerCase())) continue
    list[kept] = name
    list[kept + 1] = list[at + 1] ?? ''
    kept += 2
  }
  list.length = kept
}
