import { type CanonicalPath, canonicalPath } from '../security/canonical-path.ts'

/**
 * The canonical path of an HTTP/1 request target (RFC 9112 section 3.2): of the absolute form only where it names the same authority as the
 * Host header, the asterisk form only of OPTIONS.
 *
 * @param host of the Host header; empty without one
 */
export function canonicalTarget(method: string, target: string, host: string): CanonicalPath {
  if (target === '*') return method === 'OPTIONS' ? { ok: true, path: target } : { ok: false, problem: 'is for OPTIONS alone' }
  if (target.startsWith('/')) return canonicalPath(target)
  const absolute = /^https?:\/\/([^/?#@\\]*)(.*)$/is.exec(target)
  if (absolute === null) return { ok: false, problem: 'is neither a path nor a URL' }
  const [, authority = '', rest = ''] = absolute
  if (authority.toLowerCase() !== host.toLowerCase())
    return { ok: false, problem: 'names another authority than the Host header' }
  return canonicalPath(rest.startsWith('/') ? rest : `/${rest}`)
}
