import { readLabels } from './names.ts'
import type { Value } from './value.ts'

/** Reads `selector` of a security policy. None, and one without labels, select everything. */
export function readSelector(selector: Value): Readonly<Record<string, string>> {
  if (selector.isAbsent) return {}
  const labels = readLabels(selector.fields('matchLabels').matchLabels)
  if (Object.keys(labels).length === 0) selector.warn('has no labels, and so selects every workload')
  return labels
}

/** Refuses `targetRef` and `targetRefs`: left out of sight they would widen a policy to every workload. */
export function refuseTargets(...targets: readonly Value[]): void {
  for (const target of targets) {
    if (!target.isAbsent) target.error('is not supported: there are no gateways and waypoints here; use selector')
  }
}
