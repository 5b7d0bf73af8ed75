import type { StringMatcher } from '../../policies/string-matcher.ts'
import type { StringMatcher as StringMatcherMessage } from '../gen/envoy/type/matcher/v3/string_pb.ts'
import type { Problems } from './problems.ts'
import { decodeRegex } from './regex.ts'

/** Decodes `envoy.type.matcher.v3.StringMatcher`. `ignore_case` has no effect on a regex. */
export function decodeStringMatcher(message: StringMatcherMessage, problems: Problems): StringMatcher {
  const { matchPattern, ignoreCase } = message
  switch (matchPattern.case) {
    case 'exact':
      return { kind: 'exact', value: matchPattern.value, ignoreCase }
    case 'prefix':
    case 'suffix':
    case 'contains':
      problems.required(matchPattern.case, matchPattern.value)
      return { kind: matchPattern.case, value: matchPattern.value, ignoreCase }
    case 'safeRegex':
      return { kind: 'regex', regex: decodeRegex(matchPattern.value, problems.at('safe_regex')) }
    case 'custom':
      problems.addAt('custom', `is not supported: "${matchPattern.value.name}"`)
      break
    default:
      problems.addAt('match_pattern', 'is required')
  }
  return { kind: 'exact', value: '', ignoreCase: false }
}
