import type { PathMatch, RouteMatch } from '../discovery/model/route.ts'
import { type FractionalPercent, isSelected } from '../policies/fraction.ts'
import { type CompiledHeaderMatcher, compileHeaderMatcher } from '../policies/header-matcher.ts'
import { compilePathTemplate } from '../policies/path-template.ts'
import { type CompiledQueryParameterMatcher, compileQueryParameterMatcher } from '../policies/query-parameter-matcher.ts'
import { compileRegex } from '../policies/regex.ts'
import type { RouteRequest } from './route-request.ts'

/** Matches a path without its query. */
export interface PathMatcher {
  matches(path: string): boolean
}

class ExactPath implements PathMatcher {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  matches(path: string): boolean {
    return path === this.#value
  }
}

class PrefixPath implements PathMatcher {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  matches(path: string): boolean {
    return path.startsWith(this.#value)
  }
}

/** `/api` matches `/api` and `/api/x`, not `/apis`. */
class SeparatedPrefixPath implements PathMatcher {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  matches(path: string): boolean {
    const { length } = this.#value
    return path.startsWith(this.#value) && (path.length === length || path.charCodeAt(length) === 47)
  }
}

class AnyPath implements PathMatcher {
  matches(): boolean {
    return true
  }
}

class IgnoreCase implements PathMatcher {
  readonly #inner: PathMatcher

  constructor(inner: PathMatcher) {
    this.#inner = inner
  }

  matches(path: string): boolean {
    return this.#inner.matches(path.toLowerCase())
  }
}

/**
 * Compiles `RouteMatch.path_specifier`.
 *
 * @throws Error when a regex or template is not legal
 */
export function compilePathMatcher(match: PathMatch): PathMatcher {
  switch (match.kind) {
    case 'exact':
    case 'prefix':
    case 'separated-prefix': {
      if (match.kind === 'prefix' && (match.value === '/' || match.value === '')) return new AnyPath()
      const Matcher = { exact: ExactPath, prefix: PrefixPath, 'separated-prefix': SeparatedPrefixPath }[match.kind]
      return match.ignoreCase ? new IgnoreCase(new Matcher(match.value.toLowerCase())) : new Matcher(match.value)
    }
    case 'regex':
      return compileRegex(match.regex)
    case 'template':
      return compilePathTemplate(match.template)
  }
}

const noHeaders: readonly HeaderRule[] = []
const noQuery: readonly CompiledQueryParameterMatcher[] = []

interface HeaderRule {
  readonly name: string
  readonly matcher: CompiledHeaderMatcher
}

/** `RouteMatch`, compiled: whether a request takes a route. Pure; allocates nothing. */
export class RouteMatcher {
  readonly #path: PathMatcher
  readonly #headers: readonly HeaderRule[]
  readonly #queryParameters: readonly CompiledQueryParameterMatcher[]
  readonly #fraction: FractionalPercent | undefined
  readonly #grpcOnly: boolean
  readonly #pathOnly: boolean
  /** Whether there is no request that it does not match. */
  readonly matchesAll: boolean

  /** @throws Error when a regex or template of `match` is not legal */
  constructor(match: RouteMatch) {
    this.#path = compilePathMatcher(match.path)
    this.#headers =
      match.headers.length === 0
        ? noHeaders
        : match.headers.map(each => ({ name: each.name, matcher: compileHeaderMatcher(each) }))
    this.#queryParameters =
      match.queryParameters.length === 0 ? noQuery : match.queryParameters.map(each => compileQueryParameterMatcher(each))
    this.#fraction = match.runtimeFraction
    this.#grpcOnly = match.grpcOnly
    this.#pathOnly =
      this.#headers.length === 0 && this.#queryParameters.length === 0 && this.#fraction === undefined && !this.#grpcOnly
    this.matchesAll = this.#pathOnly && this.#path instanceof AnyPath
  }

  /**
   * @param path the request's path without its query
   * @param random in `[0, 1)`; the same for every route of one request, so that the choice is stable
   */
  matches(request: RouteRequest, path: string, random: number): boolean {
    if (!this.#path.matches(path)) return false
    return this.#pathOnly || this.#matchesRest(request, random)
  }

  #matchesRest(request: RouteRequest, random: number): boolean {
    if (this.#fraction !== undefined && !isSelected(this.#fraction, random)) return false
    if (this.#grpcOnly && !isGrpc(request.header('content-type'))) return false
    for (const { name, matcher } of this.#headers) {
      if (!matcher.matches(readRequestHeader(request, name))) return false
    }
    for (const matcher of this.#queryParameters) {
      if (!matcher.matches(request.path)) return false
    }
    return true
  }
}

/** A header or pseudo header of a request. `host` is `:authority`, as in HTTP/2. */
export function readRequestHeader(request: RouteRequest, name: string): string | readonly string[] | undefined {
  switch (name) {
    case ':path':
      return request.path
    case ':method':
      return request.method
    case ':authority':
    case 'host':
      return request.authority
    case ':scheme':
      return request.scheme
    default:
      return request.header(name)
  }
}

function isGrpc(contentType: string | readonly string[] | undefined): boolean {
  if (typeof contentType !== 'string') return false
  return contentType === 'application/grpc' || contentType.startsWith('application/grpc+')
}
