import { compileHeaderMatcher, type HeaderMatcher } from '../header-matcher.ts'
import { IpRange } from '../ip-range.ts'
import { compilePathTemplate } from '../path-template.ts'
import { type CompiledStringMatcher, compileStringMatcher, type StringMatcher } from '../string-matcher.ts'
import { loosely, pathForms, valueForms } from './loose-forms.ts'
import type { RbacRule, RbacRules } from './rules.ts'
import { compileValueMatch, valueAt } from './value-match.ts'

/** What a request is judged by. */
export interface RbacRequest {
  /** Canonical, without query. */
  readonly pathname: string
  /** The value or values of a header, or pseudo header, by its lower-case name. */
  headerValues(name: string): string | readonly string[] | undefined
  /** Names in the verified certificate of the caller; `undefined` without one. */
  readonly principals: readonly string[] | undefined
  /** Of the connection, never of a header; `null` when it is not known. */
  readonly sourceIp: Uint8Array | null
  readonly destinationIp: Uint8Array | null
  readonly destinationPort: number
  /** SNI; empty without. */
  readonly serverName: string
  /** What earlier filters have found out, such as the claims of a token. */
  metadata(filter: string): unknown
}

type Matcher = (request: RbacRequest) => boolean

/** Whether a match keeps a request out: then whatever an application could take for the same is the same. */
type Polarity = 'loose' | 'strict'

interface CompiledPolicy {
  readonly name: string
  readonly matches: Matcher
}

/** What {@link RbacEngine.evaluate} finds. */
export interface RbacVerdict {
  readonly allowed: boolean
  /** The policy that matched; empty when none did. */
  readonly policy: string
}

/**
 * `envoy.config.rbac.v3.RBAC` (gRFC A41). With `deny`, paths are compared without regard to case, to slashes at the end and to parameters of
 * segments, and headers also value by value, where a match denies: frameworks of Node route so.
 */
export class RbacEngine {
  readonly action: RbacRules['action']
  readonly #policies: readonly CompiledPolicy[]

  /** @throws Error when a regex, address or template is not legal */
  constructor({ action, policies }: RbacRules) {
    this.action = action
    const polarity = action === 'deny' ? 'loose' : 'strict'
    this.#policies = policies.map(({ name, permissions, principals }) => {
      const permission = anyOf(permissions.map(rule => compile(rule, polarity)))
      const principal = anyOf(principals.map(rule => compile(rule, polarity)))
      return { name, matches: request => permission(request) && principal(request) }
    })
  }

  evaluate(request: RbacRequest): RbacVerdict {
    for (const { name, matches } of this.#policies) {
      if (matches(request)) return { allowed: this.action !== 'deny', policy: name }
    }
    return { allowed: this.action !== 'allow', policy: '' }
  }
}

const anyOf =
  (matchers: readonly Matcher[]): Matcher =>
  request =>
    matchers.some(matches => matches(request))

function compile(rule: RbacRule, polarity: Polarity): Matcher {
  switch (rule.kind) {
    case 'any':
      return () => true
    case 'or':
      return anyOf(rule.rules.map(each => compile(each, polarity)))
    case 'and': {
      const matchers = rule.rules.map(each => compile(each, polarity))
      return request => matchers.every(matches => matches(request))
    }
    case 'not': {
      // What would be taken for the same there would let more pass here.
      const inner = compile(rule.rule, 'strict')
      return request => !inner(request)
    }
    case 'header':
      return compileHeader(rule.header, polarity)
    case 'path':
      return compilePath(rule.matcher, polarity)
    case 'path-template': {
      const template = compilePathTemplate(rule.template)
      if (polarity === 'strict') return ({ pathname }) => template.matches(pathname)
      return ({ pathname }) => pathForms(pathname).some(form => template.matches(form))
    }
    case 'source-ip':
    case 'destination-ip': {
      const range = new IpRange(rule.address, rule.prefixLength)
      const isSource = rule.kind === 'source-ip'
      return ({ sourceIp, destinationIp }) => {
        const address = isSource ? sourceIp : destinationIp
        return address !== null && range.has(address)
      }
    }
    case 'destination-port':
      return ({ destinationPort }) => destinationPort >= rule.start && destinationPort < rule.end
    case 'server-name': {
      const matcher = compileStringMatcher(rule.matcher)
      return ({ serverName }) => matcher.matches(serverName)
    }
    case 'authenticated': {
      if (rule.name === undefined) return ({ principals }) => principals !== undefined
      const matcher = compileStringMatcher(rule.name)
      return ({ principals }) => principals?.some(name => matcher.matches(name)) === true
    }
    case 'metadata': {
      const matches = compileValueMatch(rule.value)
      return request => matches(valueAt(request.metadata(rule.filter), rule.path))
    }
  }
}

function compilePath(matcher: StringMatcher, polarity: Polarity): Matcher {
  if (polarity === 'strict') {
    const compiled = compileStringMatcher(matcher)
    return ({ pathname }) => compiled.matches(pathname)
  }
  const compiled = compileStringMatcher(loosely(matcher))
  return ({ pathname }) => matchesAny(compiled, pathForms(pathname))
}

function matchesAny(matcher: CompiledStringMatcher, forms: readonly string[]): boolean {
  for (const form of forms) if (matcher.matches(form)) return true
  return false
}

function compileHeader(header: HeaderMatcher, polarity: Polarity): Matcher {
  const compiled = compileHeaderMatcher(header)
  const { name } = header
  if (polarity === 'strict' || header.invert) return request => compiled.matches(request.headerValues(name))
  if (name === ':path' && header.match.kind === 'string') {
    const loose = compileStringMatcher(loosely(header.match.matcher))
    return request => matchesAny(loose, pathForms(String(request.headerValues(name) ?? '')))
  }
  return request => {
    const values = request.headerValues(name)
    return compiled.matches(values) || (values !== undefined && valueForms(values).some(form => compiled.matches(form)))
  }
}
