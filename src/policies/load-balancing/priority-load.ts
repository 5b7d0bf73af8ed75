/** How many endpoints of a priority can be used. */
export interface PriorityHealth {
  readonly total: number
  readonly healthy: number
  readonly degraded: number
}

/** Where requests go. */
export interface PriorityLoad {
  /** Percent of the requests to the healthy hosts of each priority. With {@link degraded} it sums to 100, unless nobody can be picked at all. */
  readonly healthy: readonly number[]
  /** Percent of the requests to the degraded hosts of each priority. */
  readonly degraded: readonly number[]
  /** Priorities whose health is ignored, so that the few healthy hosts are not overrun. */
  readonly panic: readonly boolean[]
}

/**
 * Spreads load over priorities, in integer arithmetic as Envoy does. A priority can take `overprovisioning x healthy / total` percent; what one
 * cannot take spills to the next, then to degraded hosts in the same order. Where all together can take less than 100 %, shares are normalised,
 * and a priority whose healthy share is under the panic threshold panics; where every one panics, the number of hosts decides.
 *
 * @param overprovisioningFactor percent, normally 140
 * @param panicThreshold 0 to 100; 0 is never
 */
export function priorityLoad(
  priorities: readonly PriorityHealth[],
  overprovisioningFactor: number,
  panicThreshold: number,
): PriorityLoad {
  const available = (total: number, part: number) =>
    total === 0 ? 0 : Math.min(100, Math.floor((overprovisioningFactor * part) / total))
  const healthy = priorities.map(each => available(each.total, each.healthy))
  const degraded = priorities.map(each => available(each.total, each.degraded))
  const sum = Math.min(100, total(healthy) + total(degraded))
  // A priority without hosts is at 0 %, and panics too.
  const panic = priorities.map(
    each => sum < 100 && (100 * (each.healthy + each.degraded)) / Math.max(1, each.total) < panicThreshold,
  )
  if (panic.length > 0 && panic.every(each => each)) {
    return { healthy: loadBySize(priorities), degraded: priorities.map(() => 0), panic }
  }
  if (sum === 0) return { ...onlyOne(priorities), panic }
  const toHealthy = spread(healthy, 100, sum)
  const toDegraded = spread(degraded, 100 - total(toHealthy), sum)
  // What integer division lost belongs to the first priority that can take anything.
  const lost = 100 - total(toHealthy) - total(toDegraded)
  if (healthy.some(each => each > 0)) addToFirst(toHealthy, healthy, lost)
  else addToFirst(toDegraded, degraded, lost)
  return { healthy: toHealthy, degraded: toDegraded, panic }
}

/** Without panic, where hosts that can be used are so few that they round to 0 %: the first priority that has any takes it all. */
function onlyOne(priorities: readonly PriorityHealth[]): Omit<PriorityLoad, 'panic'> {
  const chosen = priorities.findIndex(each => each.healthy + each.degraded > 0)
  const takes = (isHealthy: boolean) =>
    priorities.map((each, index) => (index === chosen && each.healthy > 0 === isHealthy ? 100 : 0))
  return { healthy: takes(true), degraded: takes(false) }
}

function spread(available: readonly number[], load: number, sum: number): number[] {
  let left = load
  return available.map(each => {
    const share = Math.min(left, Math.floor((each * 100) / sum))
    left -= share
    return share
  })
}

function loadBySize(priorities: readonly PriorityHealth[]): readonly number[] {
  const sizes = priorities.map(each => each.total)
  const sum = total(sizes)
  if (sum === 0) return sizes
  const load = sizes.map(each => Math.floor((100 * each) / sum))
  addToFirst(load, sizes, 100 - total(load))
  return load
}

function addToFirst(load: number[], present: readonly number[], more: number): void {
  const first = present.findIndex(each => each > 0)
  load[first] = (load[first] ?? 0) + more
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0)
}
