/** A parsed SPIFFE ID. */
export interface SpiffeId {
  /** `spiffe://trust-domain/path`, as given: only the canonical form is accepted. */
  readonly text: string
  readonly trustDomain: string
  /** Empty, or with its leading slash. */
  readonly path: string
}

const maxBytes = 2048
const maxTrustDomainBytes = 255

/**
 * Parses a SPIFFE ID (SPIFFE-ID sections 2.1 to 2.3): lower-case scheme and trust domain, no user, port, query, fragment or
 * percent-encoding; segments of letters, digits, `.`, `-` and `_`, none of them empty, `.` or `..`.
 *
 * @returns the ID, or why it is none
 */
export function parseSpiffeId(text: string): SpiffeId | { readonly problem: string } {
  if (Buffer.byteLength(text) > maxBytes) return { problem: `is longer than ${maxBytes} bytes` }
  if (!text.startsWith('spiffe://')) return { problem: 'does not begin with spiffe://' }
  const rest = text.slice('spiffe://'.length)
  const slash = rest.indexOf('/')
  const trustDomain = slash < 0 ? rest : rest.slice(0, slash)
  const path = slash < 0 ? '' : rest.slice(slash)
  if (trustDomain === '') return { problem: 'has no trust domain' }
  if (trustDomain.length > maxTrustDomainBytes) return { problem: `has a trust domain longer than ${maxTrustDomainBytes} bytes` }
  if (!/^[a-z0-9._-]+$/.test(trustDomain))
    return { problem: 'has a trust domain of other characters than a-z, 0-9, ".", "-" and "_"' }
  if (path === '') return { text, trustDomain, path }
  for (const segment of path.slice(1).split('/')) {
    if (segment === '') return { problem: 'has an empty path segment' }
    if (segment === '.' || segment === '..') return { problem: `has the path segment "${segment}"` }
    if (!/^[A-Za-z0-9._-]+$/.test(segment))
      return { problem: 'has a path of other characters than letters, digits, ".", "-" and "_"' }
  }
  return { text, trustDomain, path }
}
