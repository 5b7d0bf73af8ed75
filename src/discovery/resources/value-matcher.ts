import type { ValueMatch } from '../../policies/rbac/rules.ts'
import type { ValueMatcher } from '../gen/envoy/type/matcher/v3/value_pb.ts'
import type { Problems } from './problems.ts'
import { decodeStringMatcher } from './string-matcher.ts'

/** Decodes `envoy.type.matcher.v3.ValueMatcher`. */
export function decodeValueMatcher({ matchPattern }: ValueMatcher, problems: Problems): ValueMatch | undefined {
  switch (matchPattern.case) {
    case 'nullMatch':
      return { kind: 'null' }
    case 'doubleMatch': {
      const { matchPattern: number } = matchPattern.value
      if (number.case === 'range') return { kind: 'number', start: number.value.start, end: number.value.end }
      const exact = number.case === 'exact' ? number.value : 0
      if (number.case === undefined) problems.addAt('double_match', 'must have a range or a number')
      return { kind: 'number', start: exact, end: next(exact) }
    }
    case 'stringMatch':
      return { kind: 'string', matcher: decodeStringMatcher(matchPattern.value, problems.at('string_match')) }
    case 'boolMatch':
      return { kind: 'bool', value: matchPattern.value }
    case 'presentMatch':
      return { kind: 'present', present: matchPattern.value }
    case 'listMatch': {
      const { matchPattern: list } = matchPattern.value
      if (list.case === 'oneOf') {
        const value = decodeValueMatcher(list.value, problems.at('list_match').at('one_of'))
        return value && { kind: 'one-of', value }
      }
      problems.addAt('list_match', 'must have one_of')
      return undefined
    }
    case 'orMatch': {
      const at = problems.at('or_match')
      const values = matchPattern.value.valueMatchers.map((each, index) =>
        decodeValueMatcher(each, at.at('value_matchers', index)),
      )
      return { kind: 'or', values: values.flatMap(value => value ?? []) }
    }
    default:
      problems.add('must have a match_pattern')
      return undefined
  }
}

/** The smallest number above. */
function next(value: number): number {
  return value + Math.max(Number.MIN_VALUE, Math.abs(value) * Number.EPSILON)
}
