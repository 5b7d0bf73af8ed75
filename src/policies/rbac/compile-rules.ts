import { compilePathTemplate } from '../path-template.ts'
import { compileStringMatcher, type StringMatcher } from '../string-matcher.ts'
import { compileCidrRange } from './cidr-range.ts'
import type { InboundAttributes } from './inbound-attributes.ts'
import { compileMetadataMatcher, type MetadataMatcher } from './metadata-matcher.ts'
import { compilePathReadings, pathReadings } from './path-readings.ts'
import type { Permission, Principal, SharedRule } from './rbac-rules.ts'
import { compileRequestHeader, opposite, type Polarity, type RequestMatches } from './request-header.ts'

/** The filter that leaves the claims of a verified token, as Envoy and Istio name it. */
const jwtFilter = 'envoy.filters.http.jwt_authn'

/** The key under which it leaves them (`payload_in_metadata`, as Istio sets it). */
const payloadKey = 'payload'

/** Compiles a permission. @throws Error when a template or a regex is none */
export function compilePermission(rule: Permission, polarity: Polarity): RequestMatches {
  switch (rule.kind) {
    case 'destination-ip':
      return compileAddress(rule.range, polarity, request => request.destination.address)
    case 'destination-port': {
      const { start, end } = rule
      return ({ destination: { port } }) => port >= start && port < end
    }
    case 'requested-server-name': {
      const matcher = compileStringMatcher(rule.matcher)
      return request => matcher.matches(request.requestedServerName)
    }
    case 'uri-template': {
      const template = compilePathTemplate(rule.template)
      if (polarity === 'narrows') return request => template.matches(request.path)
      return request => pathReadings(request.path).some(path => template.matches(path))
    }
    case 'and':
      return all(rule.rules.map(each => compilePermission(each, polarity)))
    case 'or':
      return any(rule.rules.map(each => compilePermission(each, polarity)))
    case 'not':
      return not(compilePermission(rule.rule, opposite(polarity)))
    default:
      return compileShared(rule, polarity)
  }
}

/** Compiles a principal. @throws Error when a regex is none */
export function compilePrincipal(rule: Principal, polarity: Polarity): RequestMatches {
  switch (rule.kind) {
    case 'authenticated':
      return polarity === 'widens' ? compileAnyName(rule.name) : compilePrincipalName(rule.name)
    case 'remote-ip':
      return compileAddress(rule.range, polarity, request => request.peer.address)
    case 'and':
      return all(rule.rules.map(each => compilePrincipal(each, polarity)))
    case 'or':
      return any(rule.rules.map(each => compilePrincipal(each, polarity)))
    case 'not':
      return not(compilePrincipal(rule.rule, opposite(polarity)))
    default:
      return compileShared(rule, polarity)
  }
}

/** To open the door: one of the names that count must match. A peer without verified certificate is nobody, and `.*` does not mean nobody. */
function compilePrincipalName(name: StringMatcher | undefined): RequestMatches {
  if (name === undefined) return ({ peer }) => peer.principals.length > 0
  const { matches } = compileStringMatcher(name)
  return ({ peer }) => peer.principals.some(matches)
}

/** To close it: any name will do, as in Envoy, and over TLS a peer without certificate is the empty name (gRFC A41). */
function compileAnyName(name: StringMatcher | undefined): RequestMatches {
  if (name === undefined) return ({ peer }) => peer.isSecure
  const { matches } = compileStringMatcher(name)
  return ({ peer }) => (peer.names.length > 0 ? peer.names.some(matches) : peer.isSecure && matches(''))
}

function compileShared(rule: SharedRule, polarity: Polarity): RequestMatches {
  switch (rule.kind) {
    case 'any':
      return () => true
    case 'header':
      return compileRequestHeader(rule.matcher, polarity)
    case 'url-path': {
      if (polarity === 'widens') return compilePathReadings(rule.matcher, request => request.path)
      const matcher = compileStringMatcher(rule.matcher)
      return request => matcher.matches(request.path)
    }
    case 'metadata':
      return compileClaims(rule.matcher)
  }
}

/** The claims of a token, or what another filter has left behind. */
function compileClaims(matcher: MetadataMatcher): RequestMatches {
  const [first, ...path] = matcher.path
  const isPayload = matcher.filter === jwtFilter && first === payloadKey
  const compiled = compileMetadataMatcher(isPayload ? { ...matcher, path } : matcher)
  if (isPayload) return ({ claims }) => compiled.matches(claims?.raw)
  return ({ metadata }) => compiled.matches(metadata?.get(matcher.filter))
}

function compileAddress(
  range: Parameters<typeof compileCidrRange>[0],
  polarity: Polarity,
  addressOf: (request: InboundAttributes) => string,
): RequestMatches {
  const compiled = compileCidrRange(range)
  const whenUnknown = polarity === 'widens'
  return request => {
    const address = addressOf(request)
    return address === '' ? whenUnknown : compiled.contains(address)
  }
}

const not =
  (rule: RequestMatches): RequestMatches =>
  request =>
    !rule(request)

function all(rules: readonly RequestMatches[]): RequestMatches {
  const [only] = rules
  if (only !== undefined && rules.length === 1) return only
  return request => {
    for (const rule of rules) if (!rule(request)) return false
    return true
  }
}

/** Whether one of them matches. */
export function any(rules: readonly RequestMatches[]): RequestMatches {
  const [only] = rules
  if (only !== undefined && rules.length === 1) return only
  return request => {
    for (const rule of rules) if (rule(request)) return true
    return false
  }
}
