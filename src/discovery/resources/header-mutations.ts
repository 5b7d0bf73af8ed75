import { parseHeaderFormat } from '../../policies/header-format.ts'
import {
  type AppendAction,
  type HeaderMutations,
  type HeaderValueOption,
  noHeaderMutations,
} from '../../policies/header-mutation.ts'
import type { HeaderValueOption as HeaderValueOptionMessage } from '../gen/envoy/config/core/v3/base_pb.ts'
import type { Problems } from './problems.ts'

/** The four lists that every level of a route configuration has. */
export interface HeaderMutationFields {
  readonly requestHeadersToAdd: readonly HeaderValueOptionMessage[]
  readonly requestHeadersToRemove: readonly string[]
  readonly responseHeadersToAdd: readonly HeaderValueOptionMessage[]
  readonly responseHeadersToRemove: readonly string[]
}

const actions: readonly AppendAction[] = [
  'append-if-exists-or-add',
  'add-if-absent',
  'overwrite-if-exists-or-add',
  'overwrite-if-exists',
]

/** Decodes the header changes of one level. */
export function decodeHeaderMutations(fields: HeaderMutationFields, problems: Problems): HeaderMutations {
  const { requestHeadersToAdd, requestHeadersToRemove, responseHeadersToAdd, responseHeadersToRemove } = fields
  const nothing =
    requestHeadersToAdd.length + requestHeadersToRemove.length + responseHeadersToAdd.length + responseHeadersToRemove.length ===
    0
  if (nothing) return noHeaderMutations
  return {
    requestAdd: decodeAdditions(requestHeadersToAdd, problems, 'request_headers_to_add'),
    requestRemove: decodeRemovals(requestHeadersToRemove, problems, 'request_headers_to_remove'),
    responseAdd: decodeAdditions(responseHeadersToAdd, problems, 'response_headers_to_add'),
    responseRemove: decodeRemovals(responseHeadersToRemove, problems, 'response_headers_to_remove'),
  }
}

function decodeAdditions(options: readonly HeaderValueOptionMessage[], problems: Problems, field: string): HeaderValueOption[] {
  return options.map((option, index) => decodeAddition(option, problems.at(field, index)))
}

function decodeAddition(option: HeaderValueOptionMessage, problems: Problems): HeaderValueOption {
  const key = option.header?.key ?? ''
  const raw = option.header?.rawValue
  const value = raw !== undefined && raw.length > 0 ? new TextDecoder().decode(raw) : (option.header?.value ?? '')
  checkName(key, problems.at('header.key'))
  if (/[\r\n\0]/.test(value)) problems.addAt('header.value', 'must not hold a line break or NUL')
  try {
    parseHeaderFormat(value)
  } catch (error) {
    problems.addAt('header.value', error instanceof Error ? error.message : String(error))
  }
  let action = actions[option.appendAction]
  if (action === undefined) {
    problems.addAt('append_action', `is unknown: ${option.appendAction}`)
    action = 'append-if-exists-or-add'
  }
  if (option.append !== undefined) {
    if (option.appendAction !== 0) problems.addAt('append_action', 'must not be set together with append')
    action = option.append ? 'append-if-exists-or-add' : 'overwrite-if-exists-or-add'
  }
  return { name: key.toLowerCase(), value, action, keepEmptyValue: option.keepEmptyValue }
}

function decodeRemovals(names: readonly string[], problems: Problems, field: string): string[] {
  return names.map((name, index) => {
    checkName(name, problems.at(field, index))
    return name.toLowerCase()
  })
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Refuses what is no header name, and the pseudo headers and `host`, which only rewrites may change. */
function checkName(name: string, problems: Problems): void {
  if (name === '') problems.add('is required')
  else if (name.startsWith(':') || name.toLowerCase() === 'host')
    problems.add(`"${name}" may not be changed by a header mutation`)
  else if (!token.test(name)) problems.add(`"${name}" is not a header name`)
}
