import { escapeRegex } from '../model/escape-regex.ts'
import type { HttpMatch, HttpRedirect, HttpRewrite } from '../model/virtual-service.ts'
import { readPort } from './names.ts'
import type { Value } from './value.ts'

/** What is done to the path of a request that a match lets through: `uri` replaces what it has matched, `uriRegex` what that says. */
type PathChange = Partial<Pick<HttpRewrite, 'uri' | 'uriRegex'>>

/** Reads a `urlRewrite` of a rule with these matches; what it returns tells what it does to the requests of one. */
export function readUrlRewrite(value: Value, matches: readonly HttpMatch[]): (match: HttpMatch) => HttpRewrite {
  const fields = value.fields('hostname', 'path')
  const change = readPath(fields.path, matches)
  const authority = fields.hostname.asString() ?? ''
  return match => ({ uri: '', uriRegex: undefined, ...change(match), authority })
}

/** Reads a `requestRedirect` of a rule with these matches; what it returns tells where it sends the requests of one. */
export function readRequestRedirect(value: Value, matches: readonly HttpMatch[]): (match: HttpMatch) => HttpRedirect {
  const fields = value.fields('scheme', 'hostname', 'path', 'port', 'statusCode')
  const scheme = fields.scheme.asOneOf(['http', 'https']) ?? ''
  const given = fields.statusCode.isAbsent ? 302 : fields.statusCode.asInteger(301, 308)
  if (given !== undefined && !isRedirect(given)) fields.statusCode.error(`must be 301, 302, 303, 307 or 308, got ${given}`)
  const status = isRedirect(given) ? given : 302
  const authority = fields.hostname.asString() ?? ''
  // Without one it is that of the scheme, and without that the one that was called.
  const port = fields.port.isAbsent ? (scheme === '' ? 'request' : undefined) : readPort(fields.port)
  const isPrefix = fields.path.field('type').asString() === 'ReplacePrefixMatch'
  const change = readPath(fields.path, matches)
  return match => {
    const { uri = '', uriRegex } = change(match)
    const path = isPrefix
      ? { uri: '', prefixRewrite: uri, ...(uriRegex === undefined ? {} : { uriRegex }) }
      : { uri, prefixRewrite: '' }
    return { kind: 'redirect', status, ...path, authority, scheme, port }
  }
}

const isRedirect = (status: number | undefined): status is HttpRedirect['status'] =>
  status !== undefined && [301, 302, 303, 307, 308].includes(status)

function readPath(value: Value, matches: readonly HttpMatch[]): (match: HttpMatch) => PathChange {
  if (value.isAbsent) return () => ({})
  const fields = value.fields('type', 'replaceFullPath', 'replacePrefixMatch')
  if (fields.type.required().asOneOf(['ReplaceFullPath', 'ReplacePrefixMatch']) === 'ReplaceFullPath') {
    const path = fields.replaceFullPath.required().asString() ?? '/'
    return () => ({ uri: path, uriRegex: { match: '^/.*$', rewrite: literal(path) } })
  }
  const prefix = (fields.replacePrefixMatch.required().asString() ?? '/').replace(/\/$/, '')
  if (matches.some(({ uri }) => uri?.kind !== 'path-prefix')) value.error('ReplacePrefixMatch needs matches of type PathPrefix')
  return ({ uri }) => (uri?.kind === 'path-prefix' ? replacePrefix(uri.value, prefix) : {})
}

/** What follows begins with a slash, unless the prefix was all of the path. */
function replacePrefix(matched: string, prefix: string): PathChange {
  if (matched === '/') return { uriRegex: { match: '^/', rewrite: `${literal(prefix)}/` } }
  return prefix === '' ? { uriRegex: { match: `^${escapeRegex(matched)}/*`, rewrite: '/' } } : { uri: prefix }
}

/** In a substitution of RE2 a backslash begins a group. */
const literal = (text: string) => text.replaceAll('\\', '\\\\')
