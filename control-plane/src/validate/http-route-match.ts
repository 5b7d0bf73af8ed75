import type { RankedRoute } from '../model/gateway-route.ts'
import type { PathMatch, StringMatch } from '../model/string-match.ts'
import type { HttpMatch } from '../model/virtual-service.ts'
import { anyMatch, readHeaderMatches } from './gateway-match.ts'
import { readRegex } from './regex.ts'
import type { Value } from './value.ts'

/** A match, and how closely it says for what it is. */
export interface RankedMatch {
  readonly match: HttpMatch
  readonly rank: RankedRoute['rank']
}

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'] as const
/** An exact path counts for more than a prefix, and that for more than a regular expression, which the API leaves open. */
const pathRanks = { exact: 3, 'path-prefix': 2, prefix: 2, regex: 1, present: 0 } as const

/** What a rule without matches has: every path. */
export const everyRequest = (port: number | undefined): RankedMatch => rank({ ...anyMatch, port, uri: anyPath })

const anyPath: PathMatch = { kind: 'path-prefix', value: '/' }

/** Reads one of `matches` of an HTTPRoute. */
export function readRouteMatch(value: Value, port: number | undefined): RankedMatch {
  const fields = value.required().fields('path', 'headers', 'queryParams', 'method')
  const method = fields.method.asOneOf(methods)
  return rank({
    ...anyMatch,
    port,
    uri: readPath(fields.path),
    headers: readHeaderMatches(fields.headers),
    queryParams: readQueryParams(fields.queryParams),
    method: method === undefined ? undefined : { kind: 'exact', value: method },
  })
}

/** HTTPRouteRule: the path, then whether there is a method, then the number of headers and of query parameters. */
function rank(match: HttpMatch): RankedMatch {
  const { uri = anyPath, method, headers, queryParams } = match
  const length = uri.kind === 'present' ? 0 : uri.value.length
  return { match, rank: [pathRanks[uri.kind], length, method === undefined ? 0 : 1, headers.size, queryParams.size] }
}

function readPath(value: Value): PathMatch {
  if (value.isAbsent) return anyPath
  const fields = value.fields('type', 'value')
  const type = fields.type.asOneOf(['Exact', 'PathPrefix', 'RegularExpression']) ?? 'PathPrefix'
  if (type === 'RegularExpression') return { kind: 'regex', value: readRegex(fields.value.required()) ?? '' }
  const path = fields.value.asString() ?? '/'
  if (!/^\/[^?#]*$/.test(path) || /\/\/|\/\.\.?(\/|$)|%2f/i.test(path))
    fields.value.error(`is not a normal path: ${JSON.stringify(path)}`)
  if (type === 'Exact') return { kind: 'exact', value: path }
  return { kind: 'path-prefix', value: path.replace(/(?<=.)\/$/, '') }
}

function readQueryParams(value: Value): ReadonlyMap<string, StringMatch> {
  const params = new Map<string, StringMatch>()
  for (const item of value.items()) {
    const fields = item.required().fields('type', 'name', 'value')
    const name = fields.name.required().asString() ?? ''
    const isRegex = fields.type.asOneOf(['Exact', 'RegularExpression']) === 'RegularExpression'
    const text = (isRegex ? readRegex(fields.value.required()) : fields.value.required().asString()) ?? ''
    // Of several matches of one parameter the first counts.
    if (!params.has(name)) params.set(name, { kind: isRegex ? 'regex' : 'exact', value: text })
  }
  return params
}
