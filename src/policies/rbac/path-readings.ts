import { compileStringMatcher, type StringMatcher } from '../string-matcher.ts'
import type { InboundAttributes } from './inbound-attributes.ts'

/**
 * What a framework could take a canonical path for: as it stands, without the slash at its end, and without parameters of its segments
 * (`/admin;x=1`).
 */
export function pathReadings(path: string): readonly string[] {
  if (hasOneReading(path)) return [path]
  const withoutParameters = path.replaceAll(/(?:;|%3B)[^/]*/g, '').replaceAll(/\/{2,}/g, '/')
  const readings = [path, withoutParameters]
  return [...readings, ...readings.map(reading => reading.replace(/\/+$/, '') || '/')]
}

function hasOneReading(path: string): boolean {
  return !(path.includes(';') || path.includes('%3B') || (path.length > 1 && path.endsWith('/')))
}

/**
 * Compiles a matcher of a path that closes the door: one reading is enough, and case does not count. Express and others route by these, so
 * that a rule for `/admin` which `/ADMIN/` did not fall under would protect nothing.
 *
 * @throws RE2JSException when a regex is not RE2
 */
export function compilePathReadings(
  matcher: StringMatcher,
  pathOf: (request: InboundAttributes) => string,
): (request: InboundAttributes) => boolean {
  const compiled = compileStringMatcher(
    matcher.kind === 'regex' ? { kind: 'regex', regex: `(?i:${matcher.regex})` } : { ...matcher, ignoreCase: true },
  )
  return request => {
    const path = pathOf(request)
    if (hasOneReading(path)) return compiled.matches(path)
    return pathReadings(path).some(reading => compiled.matches(reading))
  }
}
