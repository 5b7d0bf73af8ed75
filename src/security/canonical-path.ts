import { isUtf8 } from 'node:buffer'

/** A path that every reader reads in the same way, or why there is none. */
export type CanonicalPath = { readonly ok: true; readonly path: string } | { readonly ok: false; readonly problem: string }

/** By character code: what is nothing but itself wherever it stands in a path or a query. */
const isPlain = Uint8Array.from({ length: 128 }, (_, code) =>
  /[A-Za-z0-9\-._~!$&'()*+,=:@/?]/.test(String.fromCharCode(code)) ? 1 : 0,
)
const slash = 0x2f
const dot = 0x2e

/** Whether a path is canonical at first sight: plain characters alone, and neither a dot nor a slash after a slash. */
function isCanonical(target: string): boolean {
  let before = 0
  for (let at = 0; at < target.length; at++) {
    const code = target.charCodeAt(at)
    if (isPlain[code] !== 1 || (before === slash && (code === dot || code === slash))) return false
    before = code
  }
  return target.charCodeAt(0) === slash
}

const unreserved = /[A-Za-z0-9\-._~]/

/**
 * The one form of a request's path (RFC 3986 section 6.2.2) that policies are asked with and that the application sees: escapes of unreserved
 * characters decoded, those that stay in upper case, dot segments resolved, several slashes made one. What two readers could take for
 * different paths is refused: an escaped slash, backslash or NUL, escaped dot segments and those with parameters, an escaped percent sign
 * before what would be one of these, a backslash, a fragment, broken escapes, and bytes that are no UTF-8.
 *
 * @param target path and query, which stays as it is; in origin form
 */
export function canonicalPath(target: string): CanonicalPath {
  if (isCanonical(target)) return { ok: true, path: target }
  const queryAt = target.indexOf('?')
  const raw = queryAt < 0 ? target : target.slice(0, queryAt)
  const problem = problemOf(raw, target)
  if (problem !== undefined) return { ok: false, problem }
  const decoded = raw.replaceAll(/%([0-9a-fA-F]{2})/g, (whole, hex: string) => {
    const char = String.fromCharCode(Number.parseInt(hex, 16))
    return unreserved.test(char) ? char : whole.toUpperCase()
  })
  const path = resolveDotSegments(decoded.replaceAll(/\/{2,}/g, '/'))
  return { ok: true, path: queryAt < 0 ? path : path + target.slice(queryAt) }
}

function problemOf(raw: string, target: string): string | undefined {
  if (!raw.startsWith('/')) return 'does not begin with a slash'
  if (target.includes('#')) return 'has a fragment'
  if (raw.includes('\\')) return 'has a backslash'
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\x00-\x20\x7f]/.test(raw)) return 'has a control character'
  if (/%(?![0-9a-fA-F]{2})/.test(raw)) return 'has a broken escape'
  if (/%(?:2f|5c|00)/i.test(raw)) return 'has an escaped slash, backslash or NUL'
  if (/%25(?:25)*(?:2e|2f|5c|00)/i.test(raw)) return 'is escaped twice'
  if (/%(?:0[0-9a-f]|1[0-9a-f]|7f)/i.test(raw)) return 'has an escaped control character'
  if (raw.split('/').some(isHiddenDotSegment)) return 'has a hidden dot segment'
  return isUtf8(bytesOf(raw)) ? undefined : 'is no UTF-8'
}

/** `%2e%2e`, `..;x`: one reader takes it for a step up, another for a name. */
function isHiddenDotSegment(segment: string): boolean {
  if (!/^(?:\.|%2e)/i.test(segment)) return false
  const isDots = /^(?:\.|%2e){1,2}(?:;|%3b|$)/i.test(segment)
  return isDots && segment !== '.' && segment !== '..'
}

function bytesOf(raw: string): Buffer {
  const bytes: number[] = []
  for (let at = 0; at < raw.length; at++) {
    if (raw[at] === '%') {
      bytes.push(Number.parseInt(raw.slice(at + 1, at + 3), 16))
      at += 2
    } else {
      // Node reads the bytes of a request line as Latin-1.
      bytes.push(raw.charCodeAt(at) & 0xff)
    }
  }
  return Buffer.from(bytes)
}

function resolveDotSegments(path: string): string {
  if (!path.includes('/.')) return path
  const segments: string[] = []
  const [, ...rest] = path.split('/')
  for (const [index, segment] of rest.entries()) {
    const isLast = index === rest.length - 1
    if (segment === '..') segments.pop()
    else if (segment !== '.') segments.push(segment)
    if (isLast && (segment === '.' || segment === '..')) segments.push('')
  }
  return `/${segments.join('/')}`
}
