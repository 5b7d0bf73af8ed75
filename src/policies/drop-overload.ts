import type { Random } from '../runtime.ts'

/** `ClusterLoadAssignment.Policy.DropOverload`, decoded. */
export interface DropOverload {
  readonly category: string
  /** In `[0, 1]`. */
  readonly probability: number
}

/**
 * The category by which a request is to be dropped before a host is picked, or `null`. Each category has a throw of its own, in order, over what
 * the ones before it have left (gRFC A27). A drop is flag `UO` and is never retried.
 */
export function dropCategory(drops: readonly DropOverload[], random: Random): string | null {
  for (const { category, probability } of drops) if (random() < probability) return category
  return null
}
