import { compileHeaderMatcher, type HeaderMatcher } from '../header-matcher.ts'
import type { InboundAttributes } from './inbound-attributes.ts'
import { compilePathReadings } from './path-readings.ts'

/**
 * What a match leads to when the request is in doubt. A matcher that `widens` closes the door (of a DENY policy, or under a `not` of
 * an ALLOW policy): it matches when any reading of the request does. Otherwise it opens the door, and every reading must match.
 */
export type Polarity = 'widens' | 'narrows'

/** Under a negation the other one is the safe side. */
export const opposite = (polarity: Polarity): Polarity => (polarity === 'widens' ? 'narrows' : 'widens')

/** Whether a request matches. */
export type RequestMatches = (request: InboundAttributes) => boolean

/** Hop-by-hop fields, which are of this connection and not of the request (RFC 9110 §7.6.1): seen as absent (gRFC A41). */
const hopByHop: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'transfer-encoding'])

/** Fields whose value may hold a comma without being a list (RFC 9110). */
const notLists: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  'date',
  'from',
  'if-modified-since',
  'if-range',
  'if-unmodified-since',
  'last-modified',
  'proxy-authorization',
  'referer',
  'user-agent',
])

/**
 * Compiles a header matcher for a decision about access.
 *
 * A field may be repeated, and `x-role: user` with `x-role: admin` says the same as `x-role: user,admin` (RFC 9110 §5.3), into which
 * a proxy on the way may turn it. Which of the values the application acts on is not known here. So, to close the door, one reading
 * is enough: a line, an element of a line, or all lines joined with commas, which is what gRFC A41 compares and what Envoy compared
 * before CVE-2026-26308, where a DENY of `admin` saw `user,admin` and let it pass. To open the door every line must match: had one
 * been enough, a caller could add the line that the policy wants to the line that the application obeys. This allows a part of what
 * Envoy allows, whose fix takes any line.
 *
 * An absent field matches no value matcher, inverted or not (gRFC A41).
 *
 * @throws RE2JSException when a regex is not RE2
 */
export function compileRequestHeader(matcher: HeaderMatcher, polarity: Polarity): RequestMatches {
  const single = compileHeaderMatcher(matcher)
  const pseudo = pseudoHeader(matcher.name)
  const { name, invert, match } = matcher
  if (pseudo !== undefined) {
    if (name === ':path' && match.kind === 'string' && !invert && polarity === 'widens')
      return compilePathReadings(match.matcher, request => request.path + request.query)
    return request => single.matches(pseudo(request))
  }
  if (hopByHop.has(name)) {
    const whenAbsent = single.matches(undefined)
    return () => whenAbsent
  }
  if (match.kind === 'present') return request => single.matches(indexOf(request.headers, name, 0) < 0 ? undefined : '')
  const value = compileHeaderMatcher({ ...matcher, invert: false })
  const anyReading = (invert ? opposite(polarity) : polarity) === 'widens'
  const mayBeList = !notLists.has(name)
  const reads = (line: string) => value.matches(line) || (anyReading && mayBeList && anyElement(line, value))
  const separator = name === 'cookie' ? '; ' : ','
  return ({ headers }) => {
    const first = indexOf(headers, name, 0)
    if (first < 0) return single.matches(undefined)
    let isRepeated = false
    for (let at = first; at >= 0; at = indexOf(headers, name, at + 2)) {
      if (reads(headers[at + 1] ?? '') === anyReading) return anyReading !== invert
      isRepeated ||= at !== first
    }
    return (anyReading ? isRepeated && value.matches(join(headers, name, separator)) : true) !== invert
  }
}

/** `host` is another name of `:authority` (gRFC A41). A pseudo header that requests do not have is always absent. */
function pseudoHeader(name: string): ((request: InboundAttributes) => string | undefined) | undefined {
  switch (name) {
    case ':method':
      return request => request.method
    case ':authority':
    case 'host':
      return request => request.authority
    case ':path':
      return request => (request.query === '' ? request.path : request.path + request.query)
    default:
      return name.startsWith(':') ? () => undefined : undefined
  }
}

function indexOf(headers: readonly string[], name: string, from: number): number {
  for (let at = from; at < headers.length; at += 2) if (headers[at] === name) return at
  return -1
}

function anyElement(line: string, value: { matches(text: string): boolean }): boolean {
  return line.includes(',') && line.split(',').some(element => value.matches(element.trim()))
}

function join(headers: readonly string[], name: string, separator: string): string {
  let joined = ''
  for (let at = indexOf(headers, name, 0); at >= 0; at = indexOf(headers, name, at + 2)) {
    joined += joined === '' ? headers[at + 1] : separator + headers[at + 1]
  }
  return joined
}
