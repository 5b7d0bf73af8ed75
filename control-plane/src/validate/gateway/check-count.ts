import type { Value } from '../value.ts'

/** Reports a list that is longer than the Gateway API allows. */
export function checkCount(value: Value, maximum: number): void {
  const count = value.items().length
  if (count > maximum) value.error(`must have at most ${maximum} elements, got ${count}`)
}
