import type { RedirectAction, RouteMatch } from '../discovery/model/route.ts'
import { compilePathRewrite, type PathRewriter, withoutQuery } from '../policies/path-rewrite.ts'
import { matchedPath } from './matched-path.ts'
import type { RouteRequest } from './route-request.ts'

/** `RedirectAction`, compiled. */
export class Redirect {
  readonly status: number
  readonly #action: RedirectAction
  readonly #path: PathRewriter | null
  readonly #stripQuery: boolean

  /** @throws Error when a regex is not legal */
  constructor(action: RedirectAction, match: RouteMatch) {
    const { path } = action
    this.status = action.status
    this.#action = action
    this.#path = path === undefined ? null : compilePathRewrite(path, matchedPath(match.path))
    // A query inside `path_redirect` survives `strip_query`.
    this.#stripQuery = action.stripQuery && !(path?.kind === 'replace' && path.value.includes('?'))
  }

  /** The `Location` to answer with. */
  location(request: RouteRequest): string {
    const { scheme = request.scheme, host, port } = this.#action
    const authority = host ?? redirectedHost(request, scheme, port !== undefined)
    const rewritten = this.#path === null ? request.path : this.#path.rewrite(request.path)
    const path = this.#stripQuery ? withoutQuery(rewritten) : rewritten
    const slash = path.startsWith('/') ? '' : '/'
    return `${scheme}://${authority}${port === undefined ? '' : `:${port}`}${slash}${path}`
  }
}

/** The request's host, without a port that the redirect replaces or that was the default of the scheme it leaves. */
function redirectedHost(request: RouteRequest, scheme: string, hasNewPort: boolean): string {
  const { authority } = request
  const colon = authority.startsWith('[') ? authority.lastIndexOf(']:') + 1 : authority.lastIndexOf(':')
  if (colon <= 0) return authority
  const port = authority.slice(colon)
  const defaultOfOld = scheme !== request.scheme && port === (request.scheme === 'https' ? ':443' : ':80')
  return hasNewPort || defaultOfOld ? authority.slice(0, colon) : authority
}
