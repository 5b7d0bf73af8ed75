import type { CircuitBreaker } from '../policies/circuit-breaker.ts'
import type { Cluster } from './cluster.ts'
import type { Endpoint } from './endpoint.ts'
import type { LocalityCounters } from './locality-counters.ts'

/**
 * An attempt that was not answered within its time and goes on all the same, while another is made: the first good answer of either is the
 * caller's (`hedge_policy.hedge_on_per_try_timeout`).
 */
export interface ParkedAttempt {
  readonly number: number
  readonly cluster: Cluster
  readonly endpoint: Endpoint
  readonly breaker: CircuitBreaker
  readonly load: LocalityCounters | null
  /** What the transport holds of it. */
  readonly held: unknown
}

/** Gives back what an attempt holds that nobody waits for any more. */
export function releaseParked({ endpoint, breaker, load }: ParkedAttempt): void {
  breaker.releaseRequest()
  endpoint.activeRequests--
  load?.end(false)
}
