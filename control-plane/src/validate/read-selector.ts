import { readLabels } from './names.ts'
import type { Value } from './value.ts'

/** The labels of `selector.matchLabels`; `undefined` for a policy that has no selector, or an empty one. */
export function readSelector(value: Value): Readonly<Record<string, string>> | undefined {
  if (value.isAbsent) return undefined
  const labels = readLabels(value.fields('matchLabels').matchLabels)
  for (const key of Object.keys(labels)) {
    if (key === '' || key.includes('*') || labels[key]?.includes('*')) value.error('wildcards are not supported')
  }
  return Object.keys(labels).length === 0 ? undefined : labels
}

/** A policy that is attached to something else than workloads would not hold where its writer thinks it does. */
export function refuseTargets(fields: Readonly<Record<'targetRef' | 'targetRefs', Value>>): void {
  for (const field of [fields.targetRef, fields.targetRefs])
    if (!field.isAbsent) field.error('is not supported: workloads are selected by their labels')
}
