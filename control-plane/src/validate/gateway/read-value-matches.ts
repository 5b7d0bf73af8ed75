import type { StringMatch } from '../../model/string-match.ts'
import { isHeaderName } from '../names.ts'
import { readRegex } from '../regex.ts'
import type { Value } from '../value.ts'
import { checkCount } from './check-count.ts'

/** Most headers, or query parameters, of a match. */
const maxMatches = 16

/** Longest value of a header; a query parameter may have a quarter of that. */
const maxHeaderLength = 4096
const maxQueryLength = 1024

/** Reads `headers` of a match, by their names in lower case. Of several for one name the first counts. */
export const readHeaderMatches = (value: Value): ReadonlyMap<string, StringMatch> =>
  readMatches(value, maxHeaderLength, name => name.toLowerCase())

/** Reads `queryParams` of a match. Of several for one name the first counts. */
export const readQueryMatches = (value: Value): ReadonlyMap<string, StringMatch> =>
  readMatches(value, maxQueryLength, name => name)

function readMatches(value: Value, maxLength: number, normalize: (name: string) => string): ReadonlyMap<string, StringMatch> {
  checkCount(value, maxMatches)
  const matches = new Map<string, StringMatch>()
  for (const item of value.items()) {
    const fields = item.required().fields('type', 'name', 'value')
    const isRegex = fields.type.asOneOf(['Exact', 'RegularExpression']) === 'RegularExpression'
    const name = normalize(fields.name.required().asString() ?? '')
    const text = (isRegex ? readRegex(fields.value.required()) : fields.value.required().asString()) ?? ''
    if (!fields.name.isAbsent && !isHeaderName(name)) fields.name.error(`${JSON.stringify(name)} is not a name`)
    if (!isRegex && !fields.value.isAbsent && text === '') fields.value.error('must not be empty')
    if (text.length > maxLength) fields.value.error(`is longer than ${maxLength} characters`)
    if (matches.has(name)) item.warn(`is ignored: ${name} is in the list before it`)
    else matches.set(name, { kind: isRegex ? 'regex' : 'exact', value: text })
  }
  return matches
}
