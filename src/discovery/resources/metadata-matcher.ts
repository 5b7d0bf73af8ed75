import type { MetadataMatcher, ValueMatcher } from '../../policies/rbac/metadata-matcher.ts'
import type { MetadataMatcher as MetadataMatcherMessage } from '../gen/envoy/type/matcher/v3/metadata_pb.ts'
import type { ValueMatcher as ValueMatcherMessage } from '../gen/envoy/type/matcher/v3/value_pb.ts'
import type { Problems } from './problems.ts'
import { decodeStringMatcher } from './string-matcher.ts'

/** Decodes `envoy.type.matcher.v3.MetadataMatcher`. */
export function decodeMetadataMatcher(message: MetadataMatcherMessage, problems: Problems): MetadataMatcher {
  if (message.path.length === 0) problems.addAt('path', 'must not be empty')
  return {
    filter: problems.required('filter', message.filter),
    path: message.path.map(({ segment }, index) => problems.at('path', index).required('key', segment.value ?? '')),
    value: decodeValueMatcher(message.value, problems.at('value')),
    invert: message.invert,
  }
}

function decodeValueMatcher(message: ValueMatcherMessage | undefined, problems: Problems): ValueMatcher {
  const pattern = message?.matchPattern
  switch (pattern?.case) {
    case 'nullMatch':
      return { kind: 'null' }
    case 'boolMatch':
      return { kind: 'boolean', value: pattern.value }
    case 'presentMatch':
      return { kind: 'present', present: pattern.value }
    case 'stringMatch':
      return { kind: 'string', matcher: decodeStringMatcher(pattern.value, problems.at('string_match')) }
    case 'doubleMatch': {
      const { matchPattern } = pattern.value
      if (matchPattern.case === 'exact') return { kind: 'number', value: matchPattern.value }
      if (matchPattern.case === 'range') {
        const { start, end } = matchPattern.value
        return { kind: 'number-range', start, end }
      }
      problems.at('double_match').addAt('match_pattern', 'is required')
      break
    }
    case 'listMatch': {
      const at = problems.at('list_match')
      const { matchPattern } = pattern.value
      if (matchPattern.case === 'oneOf')
        return { kind: 'one-of', matcher: decodeValueMatcher(matchPattern.value, at.at('one_of')) }
      at.addAt('match_pattern', 'is required')
      break
    }
    case 'orMatch': {
      const { valueMatchers } = pattern.value
      const at = problems.at('or_match')
      if (valueMatchers.length < 2) at.addAt('value_matchers', `must be two at least, got ${valueMatchers.length}`)
      return {
        kind: 'or',
        matchers: valueMatchers.map((each, index) => decodeValueMatcher(each, at.at('value_matchers', index))),
      }
    }
    default:
      problems.addAt('match_pattern', 'is required')
  }
  return { kind: 'or', matchers: [] }
}
