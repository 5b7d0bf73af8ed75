import type { Clock } from '../runtime.ts'

/** How long one slice may hold the event loop before others get their turn; default of {@link runInSlices}. */
export const defaultSliceMs = 3

/** Work that did not even take this long is not worth a turn of its own. */
const shortMs = 0.5

/**
 * Runs `work` to its end, giving way to the event loop whenever `sliceMs` have passed. Work that took more than one slice also gives way after
 * the last one, so that what is done with the result has a turn of its own.
 */
export async function runInSlices<T>(
  work: Generator<undefined, T, undefined>,
  clock: Clock,
  sliceMs: number = defaultSliceMs,
): Promise<T> {
  let began = clock.now()
  for (let isFirst = true; ; ) {
    const step = work.next()
    const elapsedMs = clock.now() - began
    if (step.done === true) {
      if (!isFirst && elapsedMs > shortMs) await giveWay()
      return step.value
    }
    if (elapsedMs < sliceMs) continue
    await giveWay()
    isFirst = false
    began = clock.now()
  }
}

function giveWay(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
