/** Where `JSON.parse` gave up, counted from 1. */
export interface JsonPosition {
  readonly line: number
  readonly column: number
}

/**
 * Where the first mistake of an unparsable JSON text is. V8 names the place in some of its messages only, so the place is found
 * from the parser's own judgement: it is the end of the longest beginning that could still become JSON.
 */
export function jsonErrorPosition(text: string): JsonPosition {
  let good = 0
  let bad = text.length
  while (good < bad) {
    const middle = (good + bad + 1) >> 1
    if (isBeginning(text.slice(0, middle))) good = middle
    else bad = middle - 1
  }
  const before = text.slice(0, good).split('\n')
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
}

/** What `JSON.parse` says in `error`, without the place and the text around it. */
export function jsonErrorReason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const [reason = ''] = message.split(/ (?:in JSON )?at position |, (?:\.\.\.)?"/, 1)
  return reason.slice(0, 1).toLowerCase() + reason.slice(1)
}

function isBeginning(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch (error) {
    if (!(error instanceof SyntaxError)) return false
    if (/end of JSON input|^Unterminated string/.test(error.message)) return true
    return Number(/at position (\d+)/.exec(error.message)?.[1] ?? -1) === text.length
  }
}
