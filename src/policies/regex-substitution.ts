import { re2 } from './re2.ts'

/** `envoy.type.matcher.v3.RegexMatchAndSubstitute`, decoded. Groups are `\1` to `\9`, `\0` is the whole match, `\\` a backslash. */
export interface RegexMatchAndSubstitute {
  readonly regex: string
  readonly substitution: string
}

/** A {@link RegexMatchAndSubstitute} ready for use. */
export interface RegexSubstitution {
  /** Replaces every non-overlapping match; returns `input` itself when nothing matches. */
  replaceAll(input: string): string
}

/**
 * Compiles a regex and what replaces its matches.
 *
 * @throws RE2JSException when the regex is not RE2, `Error` when the substitution names a group that is not there
 */
export function compileRegexSubstitution(rule: RegexMatchAndSubstitute): RegexSubstitution {
  const pattern = re2().RE2JS.compile(rule.regex)
  const parts = parseSubstitution(rule.substitution, pattern.groupCount())
  const replace = (...match: unknown[]): string => {
    let text = ''
    for (const part of parts) {
      const piece = typeof part === 'string' ? part : match[part]
      if (typeof piece === 'string') text += piece
    }
    return text
  }
  return { replaceAll: input => pattern.matcher(input).replaceAll(replace) }
}

/** Literal text and group numbers, in order. */
function parseSubstitution(substitution: string, groups: number): readonly (string | number)[] {
  const parts: (string | number)[] = []
  let literal = ''
  for (let at = 0; at < substitution.length; at++) {
    const char = substitution.charAt(at)
    if (char !== '\\') {
      literal += char
      continue
    }
    const next = substitution.charAt(++at)
    if (next === '\\') {
      literal += next
    } else if (next >= '0' && next <= '9') {
      const group = Number(next)
      if (group > groups) throw new Error(`names group ${group}, but the regex has ${groups}`)
      if (literal !== '') parts.push(literal)
      literal = ''
      parts.push(group)
    } else {
      throw new Error(`has a \\ at ${at - 1} that no digit or \\ follows`)
    }
  }
  if (literal !== '') parts.push(literal)
  return parts
}
