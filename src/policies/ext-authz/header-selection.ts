import { compileStringMatcher, type StringMatcher } from '../string-matcher.ts'

/** Whether a header is told on. */
export type HeaderSelection = (name: string) => boolean

/** Headers one of whose matchers takes the name, which is in lower case. */
export function selectHeaders(matchers: readonly StringMatcher[]): HeaderSelection {
  const compiled = matchers.map(compileStringMatcher)
  return name => compiled.some(each => each.matches(name))
}

/** What an authorizer over HTTP is always told. */
const alwaysTold = new Set(['authorization', ':method', ':path', ':authority', 'host'])
/** What a caller that is denied over HTTP is told beside the headers that are named. */
const alwaysAnswered = new Set(['location', 'www-authenticate', 'proxy-authenticate'])

/**
 * The headers of a request that its authorizer is told of.
 *
 * @param allowed `undefined`: all; over HTTP, where a request is sent on and not described, only those that make it up
 */
export function selectCheckHeaders(
  kind: 'grpc' | 'http',
  allowed: readonly StringMatcher[] | undefined,
  disallowed: readonly StringMatcher[],
): HeaderSelection {
  const isNamed = selectHeaders(allowed ?? [])
  const isHidden = selectHeaders(disallowed)
  if (kind === 'http') return name => (alwaysTold.has(name) || isNamed(name)) && !isHidden(name)
  return name => (allowed === undefined || isNamed(name)) && !isHidden(name)
}

/** The headers of a denial that the caller is told of (`allowed_client_headers`). */
export function selectClientHeaders(named: readonly StringMatcher[]): HeaderSelection {
  if (named.length === 0) return () => true
  const isNamed = selectHeaders(named)
  return name => alwaysAnswered.has(name) || isNamed(name)
}
