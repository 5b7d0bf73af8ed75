import type { CircuitBreaker } from '../policies/circuit-breaker.ts'
import type { PickContext } from '../policies/load-balancing/picker.ts'
import type { MirrorPolicy } from '../policies/mirror.ts'
import type { Cluster } from './cluster.ts'
import type { ClusterHandle, ClusterManager } from './cluster-manager.ts'
import type { Endpoint } from './endpoint.ts'
import type { LocalityCounters } from './locality-counters.ts'

/** A mirror policy of a route, bound to its cluster. */
export class RouteMirror {
  readonly policy: MirrorPolicy
  readonly #manager: ClusterManager
  #handle: ClusterHandle

  constructor(policy: MirrorPolicy, manager: ClusterManager) {
    this.policy = policy
    this.#manager = manager
    this.#handle = manager.handle(policy.cluster)
  }

  /** Takes a place in the mirror's cluster; `null` when there is none to have, which is nobody's error. */
  begin(context: PickContext & { readonly attempts: number }): MirroredRequest | null {
    // The name may have come since, under a handle of its own.
    if (this.#handle.cluster === null) this.#handle = this.#manager.handle(this.policy.cluster)
    const cluster = this.#handle.cluster?.leaf() ?? null
    if (cluster === null) return null
    const breaker = cluster.breaker('default')
    if (cluster.admit(context, breaker) !== null) return null
    breaker.releasePending()
    const endpoint = cluster.pick(context, null, 0)
    if (endpoint !== null) return new MirroredRequest(this.policy, cluster, endpoint, breaker)
    breaker.releaseRequest()
    return null
  }
}

/** A copy of a request on its way to the mirror's cluster. Its answer is for nobody. */
export class MirroredRequest {
  readonly policy: MirrorPolicy
  readonly endpoint: Endpoint
  readonly #cluster: Cluster
  readonly #breaker: CircuitBreaker
  readonly #load: LocalityCounters | null
  #isOver = false

  constructor(policy: MirrorPolicy, cluster: Cluster, endpoint: Endpoint, breaker: CircuitBreaker) {
    this.policy = policy
    this.endpoint = endpoint
    this.#cluster = cluster
    this.#breaker = breaker
    endpoint.activeRequests++
    this.#load = endpoint.load
    this.#load?.begin()
  }

  /**
   * It is over; only the first call counts.
   *
   * @param statusCode of its answer, by which the endpoint is judged; 0: there was none
   */
  end(statusCode: number): void {
    if (this.#isOver) return
    this.#isOver = true
    this.endpoint.activeRequests--
    this.#load?.end(statusCode !== 0 && statusCode < 500)
    this.#breaker.releaseRequest()
    if (statusCode !== 0) this.#cluster.reportResponse(this.endpoint, statusCode)
  }
}
