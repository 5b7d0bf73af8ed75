import type { Clock } from '../runtime.ts'

/** How long one slice may hold the event loop before others get their turn; default of {@link runInSlices}. */
export const defaultSliceMs = 4

/** Runs `work` to its end, giving way to the event loop whenever `sliceMs` have passed. */
export async function runInSlices<T>(
  work: Generator<undefined, T, undefined>,
  clock: Clock,
  sliceMs: number = defaultSliceMs,
): Promise<T> {
  let began = clock.now()
  for (;;) {
    const step = work.next()
    if (step.done === true) return step.value
    if (clock.now() - began < sliceMs) continue
    await new Promise(resolve => setImmediate(resolve))
    began = clock.now()
  }
}
