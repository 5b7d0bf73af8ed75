import { setImmediate } from 'node:timers/promises'

/** Many times what anything takes, and less than the runner gives a test. */
const patienceMs = 50_000

/**
 * Looks until there is something to see, by the event loop and not by time, and returns it.
 *
 * @param step what is done between two looks
 * @throws when it does not come: what waits for ever outlives its test, and the file of that test never ends
 */
export async function until<T>(
  look: () => T | Promise<T>,
  step: () => Promise<unknown> = () => setImmediate(),
): Promise<Exclude<T, false | undefined>> {
  const end = performance.now() + patienceMs
  for (;;) {
    const seen = await look()
    if (seen !== false && seen !== undefined) return seen as Exclude<T, false | undefined>
    if (performance.now() > end) throw new Error(`waited in vain: ${look}`)
    await step()
  }
}
