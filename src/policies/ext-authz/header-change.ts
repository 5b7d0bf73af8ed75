/** What to do with a header that is there already; `append-if-exists` does nothing where it is not. */
export type HeaderChangeAction =
  | 'append-if-exists-or-add'
  | 'append-if-exists'
  | 'add-if-absent'
  | 'overwrite-if-exists-or-add'
  | 'overwrite-if-exists'

/** A header as an authorizer wants it. */
export interface HeaderChange {
  /** As it was given. */
  readonly name: string
  readonly value: string
  readonly action: HeaderChangeAction
}

/** Headers that are changed in place; names are lower case. */
export interface ChangeableHeaders {
  has(name: string): boolean
  /** Replaces every value. */
  set(name: string, value: string): void
  /** Adds a value beside those that are there. */
  append(name: string, value: string): void
}

/** Applies changes in turn. They have been checked. */
export function changeHeaders(headers: ChangeableHeaders, changes: readonly HeaderChange[]): void {
  for (const { name: given, value, action } of changes) {
    const name = given.toLowerCase()
    if (isFixed(name)) continue
    switch (action) {
      case 'append-if-exists-or-add':
        headers.append(name, value)
        break
      case 'append-if-exists':
        if (headers.has(name)) headers.append(name, value)
        break
      case 'add-if-absent':
        if (!headers.has(name)) headers.append(name, value)
        break
      case 'overwrite-if-exists':
        if (headers.has(name)) headers.set(name, value)
        break
      case 'overwrite-if-exists-or-add':
        headers.set(name, value)
    }
  }
}

/** What says who a message is for and where it ends: not an authorizer's to change, and left as it is. */
const fixed: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
  'http2-settings',
  'content-length',
  'expect',
])

/** Headers of answers that are no lists (RFC 9110): Node sends none of them twice over HTTP/2, and throws. */
const singular: ReadonlySet<string> = new Set([
  'access-control-allow-credentials',
  'access-control-max-age',
  'age',
  'content-encoding',
  'content-language',
  'content-location',
  'content-md5',
  'content-range',
  'content-type',
  'date',
  'etag',
  'expires',
  'last-modified',
  'location',
  'retry-after',
  'tk',
  'x-content-type-options',
])

/** Whether an answer has a header only once, so that a second value takes the place of the first. */
export function isSingular(name: string): boolean {
  return singular.has(name)
}

/** Whether a header keeps what it has, whatever an authorizer says: a pseudo header, `Host`, and what frames a message. */
export function isFixed(name: string): boolean {
  return name.startsWith(':') || fixed.has(name)
}

const token = /^:?[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/** Control characters but the tab, and what one byte cannot hold. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const illegal = /[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]/

/** Why changes cannot be made; `undefined`: they can. One of them spoils them all (Envoy's `validate_mutations`). */
export function headerChangeProblem(changes: readonly HeaderChange[]): string | undefined {
  for (const { name, value } of changes) {
    if (!token.test(name)) return `the authorizer names ${JSON.stringify(name)}, which is no header`
    if (illegal.test(value)) return `the authorizer gives ${name} a value that no header can have`
  }
  return undefined
}
