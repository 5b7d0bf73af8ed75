import { isIP } from 'node:net'
import { isHeaderName } from './names.ts'
import type { TextCheck } from './read-texts.ts'

/** An address, or a range such as `10.0.0.0/8`. */
export const ipBlockFault: TextCheck = text => {
  const [address = '', length, ...more] = text.split('/')
  const family = address.includes('%') ? 0 : isIP(address)
  const longest = family === 6 ? 128 : 32
  const isRange = length === undefined || (/^(0|[1-9]\d{0,2})$/.test(length) && Number(length) <= longest)
  return family !== 0 && isRange && more.length === 0 ? undefined : `is neither an IP address nor a range of them: ${quote(text)}`
}

/** A port number in a string. */
export const portFault: TextCheck = text =>
  /^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? undefined : `must be a port, got ${quote(text)}`

/** `account` or `namespace/account`, without wildcards. */
export const serviceAccountFault: TextCheck = text => {
  if (text.includes('*')) return 'must have no wildcard'
  if (text.length > 320) return 'is longer than 320 characters'
  return /^([^/]+\/)?[^/]+$/.test(text) ? undefined : `must be an account or namespace/account, got ${quote(text)}`
}

/** A trust domain, with a wildcard at one end at most. */
export const trustDomainFault: TextCheck = text => {
  if (text.includes('/')) return `must be a trust domain, got ${quote(text)}`
  return /^(\*?[^*]*|[^*]*\*)$/.test(text) ? undefined : `may have one wildcard, at the beginning or the end, got ${quote(text)}`
}

const literalSegment = /^[a-zA-Z0-9\-._~%!$&'()+,;:@=]+$/

/** Whether a path has one of the two operators of templates. */
export const isPathTemplate = (path: string): boolean => path.includes('{*}') || path.includes('{**}')

/** A path with a wildcard at one end, or a template. */
export const pathFault: TextCheck = path => {
  let isOver = false
  for (const segment of path.replace(/^\/+|\/+$/g, '').split('/')) {
    const isOperator = segment === '{*}' || segment === '{**}'
    if (isOperator && isOver) return `has an operator after {**}: ${quote(path)}`
    if (segment === '{**}') isOver = true
    if (isOperator) continue
    if (/[{}]/.test(segment)) return `may have {*} and {**} as whole segments and no other braces, got ${quote(path)}`
    if (isPathTemplate(path) && !literalSegment.test(segment))
      return `has the segment ${quote(segment)}, which a template cannot have`
  }
  // Envoy refuses a template that does not begin with a slash, and with it the whole listener.
  return isPathTemplate(path) && !path.startsWith('/') ? `must begin with /, got ${quote(path)}` : undefined
}

/** What is wrong with the key of a condition, and of which form its values are. */
export function conditionOf(key: string): { readonly fault: string } | { readonly check: TextCheck } {
  const inBrackets = /^(request\.headers|request\.auth\.claims|experimental\.envoy\.filters\.[^[]*)\[(.+)\]$/.exec(key)
  if (inBrackets !== null) {
    const [, attribute = '', name = ''] = inBrackets
    return attribute === 'request.headers' ? headerCondition(name) : { check: anything }
  }
  switch (key) {
    case 'source.ip':
    case 'remote.ip':
    case 'destination.ip':
      return { check: ipBlockFault }
    case 'destination.port':
      return { check: portFault }
    case 'source.serviceAccount':
      return { check: serviceAccountFault }
    case 'source.trustDomain':
      return { check: trustDomainFault }
    case 'source.namespace':
    case 'source.principal':
    case 'request.auth.principal':
    case 'request.auth.audiences':
    case 'request.auth.presenter':
    case 'connection.sni':
      return { check: anything }
    default:
      return { fault: `is no attribute: ${quote(key)}` }
  }
}

/** gRFC A41 has servers refuse a rule on what the transport makes of a request. */
function headerCondition(name: string): { readonly fault: string } | { readonly check: TextCheck } {
  const lower = name.toLowerCase()
  if (lower.startsWith('grpc-') || lower === ':scheme') return { fault: `must not be about grpc-* and :scheme (gRFC A41)` }
  return isHeaderName(lower.replace(/^:/, '')) ? { check: anything } : { fault: `is not a header name: ${quote(name)}` }
}

const anything: TextCheck = () => undefined
const quote = (text: string) => JSON.stringify(text)
