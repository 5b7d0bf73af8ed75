/** What makes a path worth a closer look: an escape, a backslash, a dot segment, two slashes. */
const suspicious = /[%\\]|\/\.|\/\//

const unreserved = /[A-Za-z0-9\-._~]/

/**
 * The canonical form of a path (`HttpConnectionManager.normalize_path`): escapes of unreserved characters decoded, `\` as `/`, dot
 * segments resolved (RFC 3986 §6.2.2). `%2F` and `%5C` stay, as does the case of letters, and the query is left alone.
 * Clean paths come back as they are, without a copy.
 *
 * @param path with its query
 * @param mergeSlashes also makes one of several slashes (`merge_slashes`)
 * @returns `null` for a path that is none (an escaped NUL), which Envoy answers with 400
 */
export function normalizePath(path: string, mergeSlashes: boolean): string | null {
  if (!suspicious.test(path)) return path
  const queryAt = path.indexOf('?')
  const query = queryAt < 0 ? '' : path.slice(queryAt)
  const decoded = decodeUnreserved(queryAt < 0 ? path : path.slice(0, queryAt))
  if (decoded === null) return null
  const resolved = resolveDotSegments(decoded.replaceAll('\\', '/'))
  return (mergeSlashes ? resolved.replace(/\/{2,}/g, '/') : resolved) + query
}

function decodeUnreserved(path: string): string | null {
  if (!path.includes('%')) return path
  if (path.includes('%00')) return null
  return path.replace(/%([0-9a-fA-F]{2})/g, (whole, hex: string) => {
    const char = String.fromCharCode(Number.parseInt(hex, 16))
    return unreserved.test(char) ? char : whole
  })
}

function resolveDotSegments(path: string): string {
  if (!path.includes('/.')) return path
  const segments: string[] = []
  const [, ...rest] = path.split('/')
  for (const [index, segment] of rest.entries()) {
    const last = index === rest.length - 1
    if (segment === '..') segments.pop()
    else if (segment !== '.') segments.push(segment)
    if (last && (segment === '.' || segment === '..')) segments.push('')
  }
  return `/${segments.join('/')}`
}
