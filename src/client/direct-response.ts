import type { DirectResponseAction } from '../discovery/model/route.ts'
import type { RouteRequest } from './route-request.ts'

/** `DirectResponseAction`, compiled: an answer without a cluster. */
export class DirectResponse {
  readonly status: number
  readonly body: string

  constructor(action: DirectResponseAction) {
    this.status = action.status
    this.body = action.body
  }

  /** The `Location` that Envoy adds to a 201 and to any 3xx: the request's own URL. `undefined` for every other status. */
  location(request: RouteRequest): string | undefined {
    const needed = this.status === 201 || (this.status >= 300 && this.status < 400)
    return needed ? `${request.scheme}://${request.authority}${request.path}` : undefined
  }
}
