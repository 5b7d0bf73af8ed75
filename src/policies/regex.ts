import { re2 } from './re2.ts'

/** A compiled regex that must match the whole text. */
export interface CompiledRegex {
  matches(text: string): boolean
}

/** `text` that means only itself in RE2. */
const plain = /^[^\\.+*?()|[\]{}^$]*$/

/** Texts with nothing but `|` between them. */
const alternatives = /^[^\\.+*?()[\]{}^$]+$/

/**
 * Compiles an RE2 regex from configuration. Forms that are only literals in disguise (`a`, `a|b`, `a.*`) become string
 * operations; everything else runs in linear time in `re2js`, never in the backtracking engine of V8.
 *
 * @throws RE2JSException when it is not RE2
 */
export function compileRegex(regex: string): CompiledRegex {
  if (plain.test(regex)) return { matches: text => text === regex }
  if (regex.endsWith('.*') && plain.test(regex.slice(0, -2))) {
    const prefix = regex.slice(0, -2)
    // In RE2 the dot matches no line feed.
    return { matches: text => text.startsWith(prefix) && text.indexOf('\n', prefix.length) < 0 }
  }
  if (alternatives.test(regex)) {
    const texts = new Set(regex.split('|'))
    return { matches: text => texts.has(text) }
  }
  const pattern = re2().RE2JS.compile(regex)
  return { matches: text => pattern.testExact(text) }
}

/** Why a regex is not RE2, with the position of what is wrong where that is known; `undefined` when it is. */
export function findRegexError(regex: string): string | undefined {
  const { RE2JS, RE2JSException, RE2JSSyntaxException } = re2()
  try {
    RE2JS.compile(regex)
    return undefined
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error
    if (!(error instanceof RE2JSSyntaxException)) return error.message
    const culprit = error.getPattern() ?? ''
    const position = culprit === '' || culprit === regex ? -1 : regex.indexOf(culprit)
    return position < 0 ? error.getDescription() : `${error.getDescription()} at ${position} ("${culprit}")`
  }
}
