import type { HttpMatch, PathMatch } from '../../model/virtual-service.ts'
import { readRegex } from '../regex.ts'
import type { Value } from '../value.ts'
import { gatewayMatch } from './gateway-match.ts'
import { readHeaderMatches, readQueryMatches } from './read-value-matches.ts'

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'] as const

/** Longest path. */
const maxPathLength = 1024

/** A match with what it needs beside others. */
export interface RankedMatch {
  readonly match: HttpMatch
  /** See `GatewayRule.precedence`. */
  readonly precedence: readonly number[]
  /** The prefix that `replacePrefixMatch` replaces; `undefined` where the path is matched otherwise. */
  readonly prefix: string | undefined
}

/** What a rule without matches has, and an HTTPRoute without rules. */
export const everyRequest: RankedMatch = {
  match: gatewayMatch(new Map(), { uri: { kind: 'prefix', value: '/' } }),
  precedence: [0],
  prefix: '/',
}

/**
 * Reads one element of `rules[].matches` of an HTTPRoute. It goes before others by the kind of its path (exact, prefix, regular
 * expression), the length of it, a method, and the number of headers and of query parameters. What matches every request goes last,
 * as otherwise no regular expression beside it would ever count.
 */
export function readGatewayHttpMatch(value: Value): RankedMatch {
  const fields = value.required().fields('path', 'headers', 'queryParams', 'method')
  const uri = readPath(fields.path)
  const headers = readHeaderMatches(fields.headers)
  const queryParams = readQueryMatches(fields.queryParams)
  const method = fields.method.asOneOf(methods)
  const prefix = uri.kind === 'path-prefix' || uri.kind === 'prefix' ? uri.value : undefined
  const isEveryRequest = prefix === '/' && headers.size === 0 && queryParams.size === 0 && method === undefined
  if (isEveryRequest) return everyRequest
  const kind = uri.kind === 'exact' ? 3 : prefix === undefined ? 1 : 2
  return {
    match: gatewayMatch(headers, {
      uri,
      method: method === undefined ? undefined : { kind: 'exact', value: method },
      queryParams,
    }),
    precedence: [kind, uri.value.length, method === undefined ? 0 : 1, headers.size, queryParams.size],
    prefix,
  }
}

function readPath(value: Value): Exclude<PathMatch, { kind: 'present' }> {
  const fields = value.fields('type', 'value')
  const type = fields.type.asOneOf(['Exact', 'PathPrefix', 'RegularExpression']) ?? 'PathPrefix'
  if (type === 'RegularExpression') return { kind: 'regex', value: readRegex(fields.value) ?? '/' }
  const text = fields.value.asString() ?? '/'
  const fault = pathFault(text)
  if (fault !== undefined) fields.value.error(fault)
  if (type === 'Exact') return { kind: 'exact', value: text }
  const prefix = text.endsWith('/') ? text.slice(0, -1) : text
  return prefix === '' ? { kind: 'prefix', value: '/' } : { kind: 'path-prefix', value: prefix }
}

function pathFault(path: string): string | undefined {
  if (!path.startsWith('/')) return `must begin with /, got ${JSON.stringify(path)}`
  if (path.length > maxPathLength) return `is longer than ${maxPathLength} characters`
  const bad = ['//', '/./', '/../'].find(each => path.includes(each)) ?? ['/..', '/.'].find(each => path.endsWith(each))
  if (bad !== undefined) return `must not have ${bad}, which no normalised path has`
  if (/%2f/i.test(path)) return 'must not have an escaped slash'
  return /^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+$/.test(path) ? undefined : `is not a path: ${JSON.stringify(path)}`
}
