import type { StringMatch } from '../model/string-match.ts'
import { readRegex } from './regex.ts'
import type { Value } from './value.ts'

/** What a StringMatch may look like, which depends on where it stands. */
export interface StringMatchRules {
  /** Whether an empty prefix is allowed: of a path, not of a header. */
  readonly emptyPrefix?: boolean
  /** Whether the regular expression `*`, which is none, means presence. */
  readonly starIsPresence?: boolean
}

/** Reads a StringMatch: one of `exact`, `prefix` and `regex`, or none for presence. */
export function readStringMatch(value: Value, rules: StringMatchRules = {}): StringMatch | undefined {
  if (value.isAbsent) return undefined
  const { exact, prefix, regex } = value.fields('exact', 'prefix', 'regex')
  if ([exact, prefix, regex].filter(each => !each.isAbsent).length > 1) {
    value.error('may have only one of exact, prefix and regex')
    return undefined
  }
  if (!exact.isAbsent) return matchOf('exact', exact.asString())
  if (!prefix.isAbsent) {
    const text = prefix.asString()
    if (text === '' && !rules.emptyPrefix) prefix.error('must not be empty')
    return matchOf('prefix', text)
  }
  if (regex.isAbsent) return { kind: 'present' }
  if (rules.starIsPresence && regex.asString() === '*') return { kind: 'present' }
  return matchOf('regex', readRegex(regex))
}

/** The matches of a map such as `headers`, by name. */
export function readStringMatches(value: Value, rules: StringMatchRules = {}): ReadonlyMap<string, StringMatch> {
  const matches = new Map<string, StringMatch>()
  for (const [name, item] of value.entries()) {
    const match = readStringMatch(item.required(), rules)
    if (match) matches.set(name, match)
  }
  return matches
}

function matchOf(kind: 'exact' | 'prefix' | 'regex', value: string | undefined): StringMatch | undefined {
  return value === undefined ? undefined : { kind, value }
}
