import type { FilterConfig, HttpConnectionManager } from '../discovery/model/listener.ts'
import type { FilterOverrides } from '../discovery/model/route.ts'
import type { CheckSettings, ExtAuthzConfig } from '../policies/ext-authz/ext-authz-config.ts'
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
  /** @param settings of the route */
  extAuthz(name: string, config: ExtAuthzConfig, settings: CheckSettings | undefined): RequestFilter
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

/**
 * Makes the filters of a connection manager for one route: what the route, or its virtual host, says in place of the listener holds.
 *
 * @param overrides those of the route before those of its virtual host
 * @throws Error when what a route says of a filter that decides who passes is for a filter of another kind
 */
export function filtersFor(
  http: HttpConnectionManager,
  overrides: readonly FilterOverrides[],
  factories: FilterFactories,
): RequestFilters {
  const filters: RequestFilter[] = []
  for (const { name, config } of http.filters) {
    const own = overrides.map(each => each[name]).filter(each => each !== undefined)
    const filter = makeFilter(name, config, own, factories)
    if (filter !== null) filters.push(filter)
  }
  return new RequestFilters(filters)
}

function makeFilter(
  name: string,
  base: FilterConfig,
  overrides: readonly FilterConfig[],
  factories: FilterFactories,
): RequestFilter | null {
  const [config = base] = overrides
  if (base.kind === 'ext-authz' && config.kind === 'check-settings')
    return factories.extAuthz(name, base.extAuthz, settingsOf(overrides))
  if (config.kind === 'check-settings' || (deciding.has(base.kind) && ![base.kind, 'disabled'].includes(config.kind)))
    throw new Error(`filter "${name}" is of kind ${base.kind}, and its configuration for a route of kind ${config.kind}`)
  switch (config.kind) {
    case 'jwt-authn':
      return factories.jwt(config.jwtAuthn)
    case 'ext-authz':
      return factories.extAuthz(name, config.extAuthz, undefined)
    case 'rbac':
      return new RbacRequestFilter(name, config.rbac)
    default:
      return null
  }
}

/** Kinds of filters that decide who passes. */
const deciding: ReadonlySet<FilterConfig['kind']> = new Set(['rbac', 'jwt-authn', 'ext-authz'])

/** What a route tells an authorizer goes over what its virtual host does. */
function settingsOf(overrides: readonly FilterConfig[]): CheckSettings | undefined {
  const [first, ...wider] = overrides.flatMap(each => (each.kind === 'check-settings' ? [each.settings] : []))
  if (first === undefined) return undefined
  const inherited = wider.map(each => each.contextExtensions)
  return { ...first, contextExtensions: Object.assign({}, ...inherited.reverse(), first.contextExtensions) }
}
