import type { HttpRewrite } from '../../model/virtual-service.ts'
import type { Value } from '../value.ts'

/** What becomes of a path, as routes say it. */
export interface PathModification {
  /** Takes the place of the whole path. */
  readonly full: string
  /** Takes the place of the prefix that was matched. */
  readonly prefix: string
  readonly regex: HttpRewrite['uriRegex']
}

const nothing: PathModification = { full: '', prefix: '', regex: undefined }

/** Longest path. */
const maxLength = 1024

/**
 * Reads `path` of RequestRedirect and URLRewrite.
 *
 * @param prefix the prefix of the only match of the rule; `undefined` when it has none, or several matches
 */
export function readPathModifier(value: Value, prefix: string | undefined): PathModification {
  if (value.isAbsent) return nothing
  const fields = value.fields('type', 'replaceFullPath', 'replacePrefixMatch')
  const type = fields.type.required().asOneOf(['ReplaceFullPath', 'ReplacePrefixMatch'])
  if (type === undefined) return nothing
  const [name, other] = [fields.replaceFullPath, fields.replacePrefixMatch]
  const [wanted, unwanted] = type === 'ReplaceFullPath' ? [name, other] : [other, name]
  const path = wanted.required().asString() ?? ''
  if (!unwanted.isAbsent) unwanted.error(`is not for the type ${type}`)
  if (path.length > maxLength) wanted.error(`is longer than ${maxLength} characters`)
  if (type === 'ReplaceFullPath') return { ...nothing, full: path }
  if (prefix === undefined) {
    value.error('needs exactly one match, of type PathPrefix')
    return nothing
  }
  return replacePrefix(prefix, path.endsWith('/') ? path.slice(0, -1) : path)
}

/** Prefixes are whole segments, and the slash between them and the rest is there once: `/a` by `/` makes `/a/b` to `/b`. */
function replacePrefix(prefix: string, replacement: string): PathModification {
  if (prefix === '/') return replacement === '' ? nothing : withRegex('^/(.*)$', `${literal(replacement)}/\\1`)
  if (replacement === '') return withRegex(`^${escapeRegex(prefix)}(/?)(.*)`, '/\\2')
  return { ...nothing, prefix: replacement }
}

const withRegex = (match: string, rewrite: string): PathModification => ({ ...nothing, regex: { match, rewrite } })

/** The text as the substitution of a regular expression. */
export const literal = (text: string): string => text.replaceAll('\\', '\\\\')

const escapeRegex = (text: string) => text.replaceAll(/[^\w/]/g, '\\$&')
