import { compileStringMatcher, type StringMatcher } from './string-matcher.ts'

/** `envoy.config.route.v3.QueryParameterMatcher`, decoded. Only the first value of a repeated key counts; values are compared undecoded. */
export interface QueryParameterMatcher {
  readonly name: string
  readonly match:
    | { readonly kind: 'string'; readonly matcher: StringMatcher }
    | { readonly kind: 'present'; readonly present: boolean }
}

/** A compiled {@link QueryParameterMatcher}. */
export interface CompiledQueryParameterMatcher {
  /** @param path with its query */
  matches(path: string): boolean
}

/**
 * Compiles a query parameter matcher.
 *
 * @throws RE2JSException when a regex is not RE2
 */
export function compileQueryParameterMatcher(matcher: QueryParameterMatcher): CompiledQueryParameterMatcher {
  const { name, match } = matcher
  if (match.kind === 'present') {
    const { present } = match
    return { matches: path => (queryParameter(path, name) !== undefined) === present }
  }
  const value = compileStringMatcher(match.matcher)
  return {
    matches(path) {
      const text = queryParameter(path, name)
      return text !== undefined && value.matches(text)
    },
  }
}

/** The first value of a key in the query of a path, undecoded; empty for a key without `=`; `undefined` without the key. */
export function queryParameter(path: string, name: string): string | undefined {
  let at = path.indexOf('?')
  while (at >= 0) {
    const start = at + 1
    const next = path.indexOf('&', start)
    const end = next < 0 ? path.length : next
    if (path.startsWith(name, start)) {
      const after = start + name.length
      if (after === end) return ''
      if (after < end && path.charCodeAt(after) === 61) return path.slice(after + 1, end)
    }
    at = next
  }
  return undefined
}
