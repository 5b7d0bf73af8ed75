import type { Random } from '../../src/runtime.ts'

/** A reproducible {@link Random} (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A {@link Random} that returns the given values in turn, and then the last one for ever. */
export function scriptedRandom(...values: readonly number[]): Random {
  let next = 0
  return () => values[Math.min(next++, values.length - 1)] ?? 0
}
