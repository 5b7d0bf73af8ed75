import type { StringMatcher } from '../string-matcher.ts'

/** The same, without regard to case. */
export function loosely(matcher: StringMatcher): StringMatcher {
  return matcher.kind === 'regex' ? { kind: 'regex', regex: `(?i:${matcher.regex})` } : { ...matcher, ignoreCase: true }
}

/**
 * What a framework could take a canonical path for: as it stands, without the slash at its end, and without parameters of its segments
 * (`/admin;x=1`); Express and others route by these.
 */
export function pathForms(path: string): readonly string[] {
  const needsMore = path.includes(';') || path.includes('%3B') || (path.length > 1 && path.endsWith('/'))
  if (!needsMore) return [path]
  const withoutParameters = path.replaceAll(/(?:;|%3B)[^/]*/g, '').replaceAll(/\/{2,}/g, '/')
  const forms = [path, withoutParameters]
  return [...forms, ...forms.map(form => form.replace(/\/+$/, '') || '/')]
}

/** What an application could take a header for: each value, each part of a list, and all of them as one line. */
export function valueForms(values: string | readonly string[]): readonly string[] {
  if (typeof values === 'string') return values.includes(',') ? values.split(',').map(part => part.trim()) : []
  return [values.join(','), values.join(', '), ...values.flatMap(value => value.split(',').map(part => part.trim()))]
}
