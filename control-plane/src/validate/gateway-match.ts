import type { StringMatch } from '../model/string-match.ts'
import type { HttpMatch } from '../model/virtual-service.ts'
import { isHeaderName } from './names.ts'
import { readRegex } from './regex.ts'
import type { Value } from './value.ts'

/** Matches everything. */
export const anyMatch: HttpMatch = {
  name: '',
  statPrefix: '',
  uri: undefined,
  ignoreUriCase: false,
  method: undefined,
  authority: undefined,
  scheme: undefined,
  headers: new Map(),
  withoutHeaders: new Map(),
  queryParams: new Map(),
  port: undefined,
  sourceLabels: {},
  sourceNamespace: '',
  gateways: [],
}

/** Reads `headers` of a match. */
export function readHeaderMatches(value: Value): ReadonlyMap<string, StringMatch> {
  const headers = new Map<string, StringMatch>()
  for (const item of value.items()) {
    const fields = item.required().fields('type', 'name', 'value')
    const name = fields.name.required().asString()?.toLowerCase() ?? ''
    if (!isHeaderName(name)) fields.name.error(`is not a header name: ${JSON.stringify(name)}`)
    const isRegex = fields.type.asOneOf(['Exact', 'RegularExpression']) === 'RegularExpression'
    const text = (isRegex ? readRegex(fields.value.required()) : fields.value.required().asString()) ?? ''
    // Of several matches of one header the first counts.
    if (!headers.has(name)) headers.set(name, { kind: isRegex ? 'regex' : 'exact', value: text })
  }
  return headers
}
