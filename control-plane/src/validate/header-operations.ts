import type { HeaderChanges, HeaderOperations } from '../model/virtual-service.ts'
import { isHeaderName } from './names.ts'
import type { Value } from './value.ts'

/** Printable, with every `%` doubled or part of `%NAME%` or `%NAME(argument)%`. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a header value may not hold.
const illegal = /[\u0000-\u0008\u000a-\u001f\u007f]/
const formatted = /^(?:[^%]|%%|%[^%(]*(?:\((?:\\.|[^)\\])*\) *)?%)*$/

/** The header that holds the authority, by either of its names. */
export const isAuthorityHeader = (name: string): boolean => /^(:authority|host)$/i.test(name)

/** Reads `headers` of a route or of a destination. */
export function readHeaderOperations(value: Value): HeaderOperations | undefined {
  if (value.isAbsent) return undefined
  const { request, response } = value.fields('request', 'response')
  return { request: readChanges(request, true), response: readChanges(response, false) }
}

function readChanges(value: Value, withAuthority: boolean): HeaderChanges {
  const { set, add, remove } = value.fields('set', 'add', 'remove')
  return { set: readValues(set, withAuthority), add: readValues(add, withAuthority), remove: readNames(remove) }
}

function readValues(value: Value, withAuthority: boolean): ReadonlyMap<string, string> {
  const values = new Map<string, string>()
  for (const [name, item] of value.entries()) {
    const text = item.required().asString() ?? ''
    if (!(withAuthority && isAuthorityHeader(name))) checkChangedHeader(name, item)
    checkHeaderValue(text, item)
    values.set(name, text)
  }
  return values
}

/** Reports what Envoy would refuse as the value of a header. */
export function checkHeaderValue(text: string, value: Value): void {
  if (illegal.test(text)) value.error('holds a control character')
  else if (!formatted.test(text)) value.error(`has a lone % (write %%) or an unfinished %FORMAT%: ${JSON.stringify(text)}`)
}

function readNames(value: Value): readonly string[] {
  return value.items().map(item => {
    const name = item.required().asString() ?? ''
    checkChangedHeader(name, item)
    return name
  })
}

/** Reports a header that cannot be set, added or removed. */
export function checkChangedHeader(name: string, value: Value): void {
  if (name === '') value.error('has an empty header name')
  else if (isAuthorityHeader(name)) value.error('cannot be changed here; use rewrite.authority')
  else if (name.startsWith(':')) value.error(`cannot be changed: ${name} is no header`)
  else if (!isHeaderName(name)) value.error(`${JSON.stringify(name)} is not a header name`)
}
