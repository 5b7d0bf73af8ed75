import type { PickContext, Picker } from './picker.ts'

/**
 * Picks a host that has not been tried yet (`envoy.retry_host_predicates.previous_hosts`): another pick for each one that has, up to
 * `host_selection_retry_max_attempts`, and then the last one all the same.
 *
 * @param previous hosts of earlier attempts, or `null` when it does not matter
 */
export function pickOther<H>(
  picker: Picker<H>,
  context: PickContext,
  previous: readonly H[] | null,
  maxAttempts: number,
): H | null {
  let host = picker.pick(context, 0)
  if (previous === null) return host
  for (let attempt = 1; attempt <= maxAttempts && host !== null && previous.includes(host); attempt++) {
    host = picker.pick(context, attempt)
  }
  return host
}
