import type { Clock, Random } from '../../runtime.ts'

/** What a pick may depend on. An exchange can be its own context, so that nothing is made per request. */
export interface PickContext {
  readonly random: Random
  /** The request's 64-bit hash, or `null` when no hash policy gave one: consistent hashing then picks at random. */
  readonly hash: bigint | null
}

/**
 * Chooses an endpoint. Built anew on each change of membership, health, ejection or weight; synchronous and free of allocation.
 */
export interface Picker<H> {
  /**
   * The endpoint of the next attempt, or `null` when there is none to send to (flag `UH`).
   *
   * @param attempt 0 first; n when the n-th pick of the same attempt was refused (`RetryPolicy.host_selection_retry_max_attempts`), so that
   *   consistent hashing finds another host
   */
  pick(context: PickContext, attempt: number): H | null
}

/** Picks nothing: there are no endpoints. */
export const emptyPicker: Picker<never> = { pick: () => null }

/** What balancers get from outside when they are built. */
export interface LeafOptions {
  readonly random: Random
  readonly clock: Clock
}
