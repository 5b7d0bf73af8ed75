import { RE2JS, RE2JSException, RE2JSSyntaxException } from 're2js'
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
  else checkRegex(regex, problems.at('regex'))
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

function checkRegex(regex: string, problems: Problems): void {
  try {
    RE2JS.compile(regex)
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error
    problems.add(`"${regex}" is not RE2: ${reasonOf(error, regex)}`)
  }
}

function reasonOf(error: RE2JSException, regex: string): string {
  if (!(error instanceof RE2JSSyntaxException)) return error.message
  const culprit = error.getPattern() ?? ''
  const position = culprit === '' || culprit === regex ? -1 : regex.indexOf(culprit)
  return position < 0 ? error.getDescription() : `${error.getDescription()} at ${position} ("${culprit}")`
}
