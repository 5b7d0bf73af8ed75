import type { PathStep, Position } from '../sources/problem.ts'

/** Who an object is, and which of two comes first. */
export interface ObjectMeta {
  readonly kind: string
  readonly name: string
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
  /** Milliseconds since the epoch; infinite for an object that does not say, as files rarely do. */
  readonly createdAtMs: number
  /** Where a field of it stands. */
  locate(path: readonly PathStep[]): Position
}

/** `Kind namespace/name`. */
export const objectName = ({ kind, name, namespace }: ObjectMeta): string => `${kind} ${namespace}/${name}`

/** Oldest first, then by name and namespace: the order in which Istio lets objects win. */
export function compareAge(a: ObjectMeta, b: ObjectMeta): number {
  if (a.createdAtMs !== b.createdAtMs) return a.createdAtMs < b.createdAtMs ? -1 : 1
  return compareText(a.name, b.name) || compareText(a.namespace, b.namespace)
}

/** By code unit, so that the order is the same everywhere. */
export const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
