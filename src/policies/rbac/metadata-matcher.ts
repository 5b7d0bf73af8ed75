import { compileStringMatcher, type StringMatcher } from '../string-matcher.ts'

/** `envoy.type.matcher.v3.MetadataMatcher`: a value of what an earlier filter left behind. */
export interface MetadataMatcher {
  /** The filter that left it, such as `envoy.filters.http.jwt_authn`. */
  readonly filter: string
  /** Keys from the outside in; at least one. */
  readonly path: readonly string[]
  readonly value: ValueMatcher
  readonly invert: boolean
}

/** `envoy.type.matcher.v3.ValueMatcher`. A value that is not there matches none of them, but `present: false`. */
export type ValueMatcher =
  | { readonly kind: 'null' }
  | { readonly kind: 'boolean'; readonly value: boolean }
  /** Half-open `[start, end)`. */
  | { readonly kind: 'number-range'; readonly start: number; readonly end: number }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'string'; readonly matcher: StringMatcher }
  | { readonly kind: 'present'; readonly present: boolean }
  /** One element of a list matches. */
  | { readonly kind: 'one-of'; readonly matcher: ValueMatcher }
  | { readonly kind: 'or'; readonly matchers: readonly ValueMatcher[] }

/** A compiled {@link MetadataMatcher}, once the metadata of its filter was looked up. */
export interface CompiledMetadataMatcher {
  /** @param metadata of the filter, as parsed from JSON; `undefined` when it left none */
  matches(metadata: unknown): boolean
}

/**
 * Compiles a metadata matcher. Only an object's own properties count: a claim named `__proto__` or `constructor` is not there
 * unless the token has it.
 *
 * @throws RE2JSException when a regex is not RE2
 */
export function compileMetadataMatcher({ path, value, invert }: MetadataMatcher): CompiledMetadataMatcher {
  const matches = compileValueMatcher(value)
  return {
    matches(metadata) {
      let found = metadata
      for (const key of path) found = isObject(found) && Object.hasOwn(found, key) ? found[key] : undefined
      return matches(found) !== invert
    },
  }
}

type ValueMatches = (value: unknown) => boolean

function compileValueMatcher(matcher: ValueMatcher): ValueMatches {
  switch (matcher.kind) {
    case 'null':
      return value => value === null
    case 'boolean':
      return value => value === matcher.value
    case 'number':
      return value => value === matcher.value
    case 'number-range':
      return value => typeof value === 'number' && value >= matcher.start && value < matcher.end
    case 'string': {
      const compiled = compileStringMatcher(matcher.matcher)
      return value => typeof value === 'string' && compiled.matches(value)
    }
    case 'present':
      return value => (value !== undefined) === matcher.present
    case 'one-of': {
      const matches = compileValueMatcher(matcher.matcher)
      return value => Array.isArray(value) && value.some(matches)
    }
    case 'or': {
      const all = matcher.matchers.map(compileValueMatcher)
      return value => all.some(matches => matches(value))
    }
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
