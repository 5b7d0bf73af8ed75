import { compileRegex } from './regex.ts'

/** `envoy.type.matcher.v3.StringMatcher`, decoded. `regex` is RE2 and must match the whole string. */
export type StringMatcher =
  | { readonly kind: 'exact' | 'prefix' | 'suffix' | 'contains'; readonly value: string; readonly ignoreCase: boolean }
  | { readonly kind: 'regex'; readonly regex: string }

/** A compiled {@link StringMatcher}. */
export interface CompiledStringMatcher {
  matches(text: string): boolean
}

/**
 * Compiles a string matcher. Matching allocates nothing, except a lower-case copy where case is to be ignored.
 *
 * @throws RE2JSException when a regex is not RE2
 */
export function compileStringMatcher(matcher: StringMatcher): CompiledStringMatcher {
  if (matcher.kind === 'regex') return compileRegex(matcher.regex)
  if (matcher.ignoreCase) {
    const inner = compileLiteral(matcher.kind, matcher.value.toLowerCase())
    return { matches: text => inner.matches(text.toLowerCase()) }
  }
  return compileLiteral(matcher.kind, matcher.value)
}

function compileLiteral(kind: Exclude<StringMatcher['kind'], 'regex'>, value: string): CompiledStringMatcher {
  switch (kind) {
    case 'exact':
      return { matches: text => text === value }
    case 'prefix':
      return { matches: text => text.startsWith(value) }
    case 'suffix':
      return { matches: text => text.endsWith(value) }
    case 'contains':
      return { matches: text => text.includes(value) }
  }
}
