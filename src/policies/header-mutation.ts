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
