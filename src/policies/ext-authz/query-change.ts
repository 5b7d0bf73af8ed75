/**
 * A path with parameters of its query set and taken out. A parameter that is set replaces all of its name, and stands at the end; the others
 * are left as they were written. Names and values are as in a URL; what none may hold is percent-encoded.
 */
export function changeQuery(path: string, toSet: readonly (readonly [string, string])[], toRemove: readonly string[]): string {
  if (toSet.length + toRemove.length === 0) return path
  const at = path.indexOf('?')
  const [pathname, query] = at < 0 ? [path, ''] : [path.slice(0, at), path.slice(at + 1)]
  // The last of several of one name counts.
  const added = new Map(toSet)
  for (const name of toRemove) added.delete(name)
  const gone = new Set([...toSet.map(([name]) => name), ...toRemove])
  const kept = query === '' ? [] : query.split('&').filter(each => !gone.has(each.split('=', 1)[0] ?? ''))
  const parameters = [...kept, ...[...added].map(([name, value]) => `${encode(name, true)}=${encode(value, false)}`)]
  return parameters.length === 0 ? pathname : `${pathname}?${parameters.join('&')}`
}

/** The percent sign stays, for what is given may be encoded already. */
function encode(text: string, isName: boolean): string {
  const illegal = isName ? /[^A-Za-z0-9\-._~%!$'()*,;:@/?]+/g : /[^A-Za-z0-9\-._~%!$'()*,;:@/?=+]+/g
  return text.replaceAll(illegal, part => encodeURIComponent(part.toWellFormed()))
}
