import type { Random } from '../runtime.ts'

const initialMs = 1_000
const multiplier = 1.6
const jitter = 0.2
const maximumMs = 30_000

/**
 * How long to wait before the next try: 1 s × 1.6 each time, at most 30 s, ±20 % (gRPC connection backoff; its own cap of 120 s
 * keeps a process without configuration for too long).
 *
 * @param failures in a row, from 1
 */
export function reconnectDelayMs(failures: number, random: Random): number {
  const base = Math.min(maximumMs, initialMs * multiplier ** (failures - 1))
  return base * (1 - jitter + 2 * jitter * random())
}
