/** How many of a priority's endpoints can be used. */
export interface PriorityHealth {
  readonly total: number
  readonly healthy: number
}

/** Where requests go. */
export interface PriorityLoad {
  /** Percent of the requests by priority; sums to 100 unless there is no endpoint at all. */
  readonly load: readonly number[]
  /** Priorities whose health is ignored, so that the few healthy endpoints are not overrun. */
  readonly panic: readonly boolean[]
}

/**
 * Spreads load over priorities as Envoy does: a priority can take `overprovisioning x healthy / total` percent, in integer arithmetic; what
 * one cannot take spills to the next; below 100 % in all, shares are normalised, and priorities under the panic threshold panic.
 *
 * @param overprovisioningFactor percent, normally 140
 * @param panicThreshold 0 to 100; 0 is never
 */
export function priorityLoad(
  priorities: readonly PriorityHealth[],
  overprovisioningFactor: number,
  panicThreshold: number,
): PriorityLoad {
  const availability = priorities.map(({ total, healthy }) =>
    total === 0 ? 0 : Math.min(100, Math.floor((overprovisioningFactor * healthy) / total)),
  )
  const sum = Math.min(
    100,
    availability.reduce((all, one) => all + one, 0),
  )
  const panic = priorities.map(
    ({ total, healthy }) => total > 0 && sum < 100 && Math.floor((100 * healthy) / total) < panicThreshold,
  )
  if (sum === 0) return { load: spreadBySize(priorities, panic), panic }
  let left = 100
  const load = availability.map(one => {
    const share = Math.min(left, Math.floor((one * 100) / sum))
    left -= share
    return share
  })
  // What integer division lost belongs to the first priority that takes anything.
  const first = load.findIndex(share => share > 0)
  return { load: load.map((share, priority) => (priority === first ? share + left : share)), panic }
}

/** Nobody is healthy: in panic the first priority with endpoints takes all. */
function spreadBySize(priorities: readonly PriorityHealth[], panic: readonly boolean[]): readonly number[] {
  const first = priorities.findIndex((_, priority) => panic[priority])
  return priorities.map((_, priority) => (priority === first ? 100 : 0))
}
