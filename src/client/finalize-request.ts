import type { FormatCommand, FormatContext } from '../policies/header-format.ts'
import type { MutableHeaders } from '../policies/header-mutation.ts'
import type { ClusterTarget } from './cluster-target.ts'
import { readRequestHeader } from './route-matcher.ts'
import type { RouteRequest } from './route-request.ts'

/** Headers that can be read, too. */
export interface ReadableHeaders extends MutableHeaders {
  /** The first value of a header; `name` is lower case. */
  get(name: string): string | undefined
}

/** What is sent in place of what the caller asked for. */
export interface FinalizedRequest {
  readonly path: string
  /** The `Host` to send. With `autoHostRewrite` the endpoint's hostname takes its place, where it has one. */
  readonly authority: string
}

/**
 * Makes the request that a target sends: header mutations first, then the host, then the path, as Envoy's
 * `finalizeRequestHeaders`. A rewrite leaves the original in `x-envoy-original-host` and `x-envoy-original-path`.
 *
 * @param headers a copy of the caller's, changed in place
 * @param command values of the format commands that the caller of this function knows
 */
export function finalizeRequest<R, T>(
  target: ClusterTarget<R, T>,
  request: RouteRequest,
  headers: ReadableHeaders,
  command: (name: FormatCommand) => string | undefined,
): FinalizedRequest {
  const { action } = target.route
  if (target.requestMutations !== null) target.requestMutations.apply(headers, new RequestFormat(request, headers, command))
  if (action.kind !== 'forward') return { path: request.path, authority: request.authority }
  const authority = target.rewriteHost(request) ?? request.authority
  if (authority !== request.authority) {
    headers.set('x-envoy-original-host', request.authority)
    if (action.forward.config.appendXForwardedHost) headers.append('x-forwarded-host', request.authority)
  }
  const path = action.forward.rewritePath(request.path)
  if (path !== request.path) headers.set('x-envoy-original-path', request.path)
  return { path, authority }
}

/** Whether {@link finalizeRequest} can change anything: a route without rewrites and mutations needs no copy of the headers. */
export function needsFinalizing<R, T>(target: ClusterTarget<R, T>): boolean {
  const { action } = target.route
  if (target.requestMutations !== null || target.autoHostRewrite) return true
  return action.kind === 'forward' && (action.forward.config.pathRewrite !== undefined || target.hasHostRewrite)
}

/** Reads headers as they stand after the levels that were applied before. */
class RequestFormat implements FormatContext {
  readonly #request: RouteRequest
  readonly #headers: ReadableHeaders
  readonly #command: (name: FormatCommand) => string | undefined

  constructor(request: RouteRequest, headers: ReadableHeaders, command: (name: FormatCommand) => string | undefined) {
    this.#request = request
    this.#headers = headers
    this.#command = command
  }

  requestHeader(name: string): string | undefined {
    if (!name.startsWith(':') && name !== 'host') return this.#headers.get(name)
    const value = readRequestHeader(this.#request, name)
    return typeof value === 'string' ? value : value?.[0]
  }

  responseHeader(): undefined {
    return undefined
  }

  command(name: FormatCommand): string | undefined {
    return this.#command(name)
  }
}
