import { compileStringMatcher } from '../string-matcher.ts'
import type { ValueMatch } from './rules.ts'

/** A compiled {@link ValueMatch}. */
export type CompiledValueMatch = (value: unknown) => boolean

/**
 * Compiles a value matcher.
 *
 * @throws RE2JSException when a regex is not RE2
 */
export function compileValueMatch(match: ValueMatch): CompiledValueMatch {
  switch (match.kind) {
    case 'null':
      return value => value === null
    case 'number':
      return value => typeof value === 'number' && value >= match.start && value < match.end
    case 'string': {
      const matcher = compileStringMatcher(match.matcher)
      return value => typeof value === 'string' && matcher.matches(value)
    }
    case 'bool':
      return value => value === match.value
    case 'present':
      return value => (value !== undefined) === match.present
    case 'one-of': {
      const inner = compileValueMatch(match.value)
      return value => Array.isArray(value) && value.some(inner)
    }
    case 'or': {
      const inner = match.values.map(compileValueMatch)
      return value => inner.some(each => each(value))
    }
  }
}

/** The value at a path of own properties; `undefined` where there is none. */
export function valueAt(root: unknown, path: readonly string[]): unknown {
  let value = root
  for (const key of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, key)) return undefined
    value = Reflect.get(value, key)
  }
  return value
}
