import type { CheckSettings, ExtAuthzConfig } from '../policies/ext-authz/ext-authz-config.ts'
import type { JwtAuthnFilter } from '../policies/jwt-provider.ts'
import type { Clock, Random } from '../runtime.ts'
import type { AuthorizerCalls } from './authorizer-calls.ts'
import type { Denial } from './denial.ts'
import type { FilterFactories, RequestFilter } from './request-filters.ts'
import type { RequestView } from './request-view.ts'

const maxFilters = 256

/** What filters are made with. */
export interface FilterEnvironment {
  readonly clock: Clock
  readonly random: Random
  /** Asked for with the first call. */
  readonly calls: () => AuthorizerCalls
}

/** Makes filters once for each configuration, and loads what they are made of only when one is wanted. */
export function filterFactories({ clock, random, calls }: FilterEnvironment): FilterFactories {
  const made = new Map<string, RequestFilter>()
  const once = (key: string, load: () => Promise<RequestFilter>): RequestFilter => {
    let filter = made.get(key)
    if (filter === undefined) {
      // Of configurations that are gone nobody tells.
      if (made.size >= maxFilters) made.clear()
      filter = new LazyFilter(load())
      made.set(key, filter)
    }
    return filter
  }
  return {
    jwt: (config: JwtAuthnFilter) =>
      once(JSON.stringify(config), async () => {
        const { JwtRequestFilter } = await import('./jwt-request-filter.ts')
        return new JwtRequestFilter(config, clock)
      }),
    extAuthz: (name: string, config: ExtAuthzConfig, settings: CheckSettings | undefined) =>
      once(JSON.stringify([name, config, settings]), async () => {
        const { ExtAuthzRequestFilter } = await import('./ext-authz-request-filter.ts')
        return new ExtAuthzRequestFilter({ name, config, settings, calls: calls(), clock, random })
      }),
  }
}

/** Waits for its code with its first request. */
class LazyFilter implements RequestFilter {
  readonly #loading: Promise<RequestFilter>
  #filter: RequestFilter | null = null

  constructor(loading: Promise<RequestFilter>) {
    this.#loading = loading
    loading.then(
      filter => {
        this.#filter = filter
      },
      () => {},
    )
  }

  judge(request: RequestView): Denial | null | Promise<Denial | null> {
    return this.#filter === null ? this.#loading.then(filter => filter.judge(request)) : this.#filter.judge(request)
  }
}
