import type { FilterConfig, HttpConnectionManager } from '../discovery/model/listener.ts'
import type { FilterOverrides } from '../discovery/model/route.ts'
import type { JwtAuthnFilter } from '../policies/jwt-provider.ts'
import type { Denial } from './denial.ts'
import { RbacRequestFilter } from './rbac-request-filter.ts'
import type { RequestView } from './request-view.ts'

/** One filter of a server: `null` lets the request pass. What throws lets nothing pass. */
export interface RequestFilter {
  judge(request: RequestView): Denial | null | Promise<Denial | null>
}

/** Makes the filters that need more than their configuration. */
export interface FilterFactories {
  /** The same one for the same configuration, whatever route it is for. */
  jwt(config: JwtAuthnFilter): RequestFilter
}

/** The filters of a route, in order. */
export class RequestFilters {
  readonly #filters: readonly RequestFilter[]

  constructor(filters: readonly RequestFilter[]) {
    this.#filters = filters
  }

  /** Stays synchronous for as long as every filter does. */
  judge(request: RequestView): Denial | null | Promise<Denial | null> {
    return this.#from(0, request)
  }

  #from(first: number, request: RequestView): Denial | null | Promise<Denial | null> {
    for (let at = first; at < this.#filters.length; at++) {
      const verdict = this.#filters[at]?.judge(request) ?? null
      if (verdict === null) continue
      if (!(verdict instanceof Promise)) return verdict
      return verdict.then(denial => denial ?? this.#from(at + 1, request))
    }
    return null
  }
}

/** Makes the filters of a connection manager for one route: what the route, or its virtual host, says in place of the listener holds. */
export function filtersFor(
  http: HttpConnectionManager,
  overrides: readonly FilterOverrides[],
  { jwt }: FilterFactories,
): RequestFilters {
  const filters: RequestFilter[] = []
  for (const { name, config } of http.filters) {
    const own = overrides.find(each => name in each)?.[name] ?? config
    const filter = makeFilter(name, own, jwt)
    if (filter !== null) filters.push(filter)
  }
  return new RequestFilters(filters)
}

function makeFilter(name: string, config: FilterConfig, jwt: FilterFactories['jwt']): RequestFilter | null {
  switch (config.kind) {
    case 'jwt-authn':
      return jwt(config.jwtAuthn)
    case 'rbac':
      return new RbacRequestFilter(name, config.rbac)
    default:
      return null
  }
}
