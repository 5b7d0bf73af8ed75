import type { JwtAuthnFilter } from '../policies/jwt-provider.ts'
import type { Clock } from '../runtime.ts'
import type { Denial } from './denial.ts'
import type { FilterFactories, RequestFilter } from './request-filters.ts'
import type { RequestView } from './request-view.ts'

const maxFilters = 256

/** Makes filters once for each configuration, and loads what they are made of only when one is wanted. */
export function filterFactories(clock: Clock): FilterFactories {
  const made = new Map<string, RequestFilter>()
  return {
    jwt(config) {
      const key = JSON.stringify(config)
      let filter = made.get(key)
      if (filter === undefined) {
        // Of configurations that are gone nobody tells.
        if (made.size >= maxFilters) made.clear()
        filter = new LazyJwtFilter(config, clock)
        made.set(key, filter)
      }
      return filter
    },
  }
}

/** Waits for its code with its first request. */
class LazyJwtFilter implements RequestFilter {
  readonly #loading: Promise<RequestFilter>
  #filter: RequestFilter | null = null

  constructor(config: JwtAuthnFilter, clock: Clock) {
    this.#loading = import('./jwt-request-filter.ts').then(({ JwtRequestFilter }) => new JwtRequestFilter(config, clock))
    this.#loading.then(
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
