import type { HeaderChanges } from '../../model/virtual-service.ts'
import { checkChangedHeader, checkHeaderValue, isAuthorityHeader } from '../header-operations.ts'
import type { Value } from '../value.ts'
import { checkCount } from './check-count.ts'

/** Most headers of each list. */
const maxHeaders = 16

/**
 * Reads the settings of RequestHeaderModifier and ResponseHeaderModifier. Of several entries for one name the first counts.
 *
 * @param withAuthority whether `Host` may be set, which rewrites the authority
 */
export function readHeaderModifier(value: Value, withAuthority: boolean): HeaderChanges {
  const { set, add, remove } = value.fields('set', 'add', 'remove')
  checkCount(remove, maxHeaders)
  return {
    set: readHeaders(set, withAuthority),
    add: readHeaders(add, withAuthority),
    remove: remove.items().map(item => {
      const name = (item.required().asString() ?? '').toLowerCase()
      checkName(name, item, false)
      return name
    }),
  }
}

function readHeaders(value: Value, withAuthority: boolean): ReadonlyMap<string, string> {
  checkCount(value, maxHeaders)
  const headers = new Map<string, string>()
  for (const item of value.items()) {
    const fields = item.required().fields('name', 'value')
    const name = (fields.name.required().asString() ?? '').toLowerCase()
    const text = fields.value.required().asString() ?? ''
    if (!fields.name.isAbsent) checkName(name, fields.name, withAuthority)
    checkHeaderValue(text, fields.value)
    if (headers.has(name)) item.warn(`is ignored: ${name} is in the list before it`)
    else headers.set(name, text)
  }
  return headers
}

function checkName(name: string, value: Value, withAuthority: boolean): void {
  if (!(withAuthority && isAuthorityHeader(name))) checkChangedHeader(name, value)
}
