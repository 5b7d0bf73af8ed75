import { type CompiledStringMatcher, compileStringMatcher, type StringMatcher } from './string-matcher.ts'

/** `envoy.config.route.v3.HeaderMatcher`, decoded. Names are lower case; `:method`, `:path`, `:authority` and `:scheme` are pseudo headers. */
export interface HeaderMatcher {
  readonly name: string
  readonly match:
    | { readonly kind: 'string'; readonly matcher: StringMatcher }
    | { readonly kind: 'present'; readonly present: boolean }
    /** Half-open `[start, end)`; the whole value must be a base-10 integer. */
    | { readonly kind: 'range'; readonly start: number; readonly end: number }
  readonly invert: boolean
  readonly treatMissingAsEmpty: boolean
}

/** A compiled {@link HeaderMatcher}. */
export interface CompiledHeaderMatcher {
  /** @param values the header's value, or its values when it is repeated, or `undefined` when it is absent */
  matches(values: string | readonly string[] | undefined): boolean
}

/**
 * Compiles a header matcher. A repeated header is matched value by value: one that matches is enough, and fails an inverted
 * matcher (as Envoy 1.40 does). An absent header matches no value matcher, inverted or not (gRFC A41), unless it is treated
 * as empty; only a presence matcher can match on absence.
 *
 * @throws RE2JSException when a regex is not RE2
 */
export function compileHeaderMatcher(matcher: HeaderMatcher): CompiledHeaderMatcher {
  const { match, invert, treatMissingAsEmpty } = matcher
  if (match.kind === 'present') {
    const wanted = match.present !== invert
    return { matches: values => (treatMissingAsEmpty || isPresent(values)) === wanted }
  }
  const value = match.kind === 'string' ? compileStringMatcher(match.matcher) : compileRange(match.start, match.end)
  return {
    matches(values) {
      if (typeof values === 'string') return value.matches(values) !== invert
      if (values === undefined || values.length === 0) return treatMissingAsEmpty && value.matches('') !== invert
      for (const each of values) if (value.matches(each)) return !invert
      return invert
    },
  }
}

function isPresent(values: string | readonly string[] | undefined): boolean {
  return typeof values === 'string' || (values !== undefined && values.length > 0)
}

const integer = /^[+-]?\d{1,19}$/

function compileRange(start: number, end: number): CompiledStringMatcher {
  return {
    matches(text) {
      if (!integer.test(text)) return false
      const value = Number(text)
      return value >= start && value < end
    },
  }
}
