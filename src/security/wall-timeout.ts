import type { Clock, Timer } from '../runtime.ts'

/** Longest time between two looks at the wall clock. */
const lookMs = 60_000

/**
 * Calls `callback` once, after `delayMs` of either clock, whichever is ahead. Timers follow the monotonic clock, which stands still while a
 * machine sleeps and does not see when the wall clock is set; certificates end by the wall clock. Delays of any length; noticed within a
 * minute.
 */
export function setWallTimeout(
  clock: Pick<Clock, 'now' | 'wallNow' | 'setTimeout'>,
  callback: () => void,
  delayMs: number,
): Timer {
  const due = clock.now() + delayMs
  const dueWall = clock.wallNow() + delayMs
  const look = () => {
    const leftMs = Math.min(due - clock.now(), dueWall - clock.wallNow())
    if (leftMs <= 0) callback()
    else timer = clock.setTimeout(look, Math.min(leftMs, lookMs))
  }
  let timer = clock.setTimeout(look, Math.min(delayMs, lookMs))
  return { cancel: () => timer.cancel() }
}
