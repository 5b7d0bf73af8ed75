import { type FormatContext, type HeaderFormat, parseHeaderFormat } from './header-format.ts'

/** What to do with a header that exists already (`HeaderValueOption.append_action`). */
export type AppendAction = 'append-if-exists-or-add' | 'add-if-absent' | 'overwrite-if-exists-or-add' | 'overwrite-if-exists'

/** One header to write. `value` may hold Envoy's `%COMMAND%` operators. */
export interface HeaderValueOption {
  /** Lower case. */
  readonly name: string
  readonly value: string
  readonly action: AppendAction
  readonly keepEmptyValue: boolean
}

/** The header changes of one level: route configuration, virtual host, route or weighted cluster. */
export interface HeaderMutations {
  readonly requestAdd: readonly HeaderValueOption[]
  readonly requestRemove: readonly string[]
  readonly responseAdd: readonly HeaderValueOption[]
  readonly responseRemove: readonly string[]
}

/** The level that changes nothing. */
export const noHeaderMutations: HeaderMutations = { requestAdd: [], requestRemove: [], responseAdd: [], responseRemove: [] }

/** What a {@link CompiledHeaderMutations} changes. Names are lower case. */
export interface MutableHeaders {
  has(name: string): boolean
  remove(name: string): void
  /** Replaces all values. */
  set(name: string, value: string): void
  append(name: string, value: string): void
}

interface CompiledHeaderValue {
  readonly name: string
  readonly format: HeaderFormat
  readonly action: AppendAction
  readonly keepEmptyValue: boolean
}

interface CompiledLevel {
  readonly remove: readonly string[]
  readonly add: readonly CompiledHeaderValue[]
}

/** The header changes of one direction, of all levels that apply to a route, in the order in which they are applied. */
export interface CompiledHeaderMutations {
  /**
   * Applies every level in turn. Within one: removals, then all values are formatted, then overwrites, then additions
   * (Envoy's `HeaderParser::evaluateHeaders`). A value that comes out empty is left out unless `keepEmptyValue`.
   */
  apply(headers: MutableHeaders, context: FormatContext): void
}

/**
 * Compiles one direction of the given levels, the first applied first, or `null` when they change nothing.
 *
 * @throws Error when a value is not a legal format
 */
export function compileHeaderMutations(
  direction: 'request' | 'response',
  levels: readonly HeaderMutations[],
): CompiledHeaderMutations | null {
  const compiled: CompiledLevel[] = []
  for (const level of levels) {
    const add = direction === 'request' ? level.requestAdd : level.responseAdd
    const remove = direction === 'request' ? level.requestRemove : level.responseRemove
    if (add.length === 0 && remove.length === 0) continue
    compiled.push({
      remove,
      add: add.map(({ name, value, action, keepEmptyValue }) => ({
        name,
        format: parseHeaderFormat(value),
        action,
        keepEmptyValue,
      })),
    })
  }
  if (compiled.length === 0) return null
  return {
    apply(headers, context) {
      for (const level of compiled) applyLevel(level, headers, context)
    },
  }
}

function applyLevel(level: CompiledLevel, headers: MutableHeaders, context: FormatContext): void {
  for (const name of level.remove) headers.remove(name)
  const overwrite: string[] = []
  const append: string[] = []
  for (const header of level.add) {
    const value = header.format.format(context)
    if (value === '' && !header.keepEmptyValue) continue
    switch (header.action) {
      case 'append-if-exists-or-add':
        append.push(header.name, value)
        break
      case 'add-if-absent':
        if (!headers.has(header.name)) append.push(header.name, value)
        break
      case 'overwrite-if-exists':
        if (headers.has(header.name)) overwrite.push(header.name, value)
        break
      case 'overwrite-if-exists-or-add':
        overwrite.push(header.name, value)
        break
    }
  }
  for (let at = 0; at < overwrite.length; at += 2) headers.set(overwrite[at] ?? '', overwrite[at + 1] ?? '')
  for (let at = 0; at < append.length; at += 2) headers.append(append[at] ?? '', append[at + 1] ?? '')
}
