import { findRegexError } from '../../policies/regex.ts'
import { compileRegexSubstitution, type RegexMatchAndSubstitute } from '../../policies/regex-substitution.ts'
import type {
  RegexMatchAndSubstitute as RegexMatchAndSubstituteMessage,
  RegexMatcher,
} from '../gen/envoy/type/matcher/v3/regex_pb.ts'
import type { Problems } from './problems.ts'

/** Reads a `RegexMatcher` and checks that RE2 takes it. The engine that the message names does not matter. */
export function decodeRegex(message: RegexMatcher | undefined, problems: Problems): string {
  const regex = message?.regex ?? ''
  if (regex === '') problems.addAt('regex', 'is required')
  const error = findRegexError(regex)
  if (error !== undefined) problems.addAt('regex', `"${regex}" is not RE2: ${error}`)
  return regex
}

/** Reads a `RegexMatchAndSubstitute`; the substitution must not name more groups than there are. */
export function decodeRegexSubstitution(message: RegexMatchAndSubstituteMessage, problems: Problems): RegexMatchAndSubstitute {
  const before = problems.found.length
  const regex = decodeRegex(message.pattern, problems.at('pattern'))
  const rule = { regex, substitution: message.substitution }
  if (problems.found.length === before) {
    try {
      compileRegexSubstitution(rule)
    } catch (error) {
      problems.addAt('substitution', error instanceof Error ? error.message : String(error))
    }
  }
  return rule
}
