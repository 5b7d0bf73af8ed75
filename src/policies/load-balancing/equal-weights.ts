/** A host that may get more than another. */
export interface Weighted {
  /** At least 1. */
  readonly weight: number
}

/** Whether all weights are the same, so that they need not be looked at. */
export function haveEqualWeights(hosts: readonly Weighted[]): boolean {
  return hosts.every(({ weight }) => weight === hosts[0]?.weight)
}
