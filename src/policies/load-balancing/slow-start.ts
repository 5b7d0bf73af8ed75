import type { Clock } from '../../runtime.ts'
import type { SlowStartConfig } from './config.ts'
import type { Host } from './host.ts'

/**
 * How much of its weight a new host gets (`SlowStartConfig`): `max(min_weight_percent, (age / window) ^ (1 / aggression))`, where the age counts
 * one second at least; 1 once the window is over.
 */
export function slowStartFactor({ windowMs, aggression, minWeightPercent }: SlowStartConfig, ageMs: number): number {
  if (ageMs >= windowMs) return 1
  const grown = (Math.max(ageMs, 1000) / windowMs) ** (1 / aggression)
  return Math.min(1, Math.max(minWeightPercent / 100, grown))
}

/**
 * Weighs hosts with slow start, or returns `null` when none of them is in its window now: then plain weights will do until the next update.
 */
export function slowStartWeights(
  hosts: readonly Host[],
  config: SlowStartConfig | undefined,
  clock: Clock,
): ((host: Host) => number) | null {
  if (config === undefined) return null
  const { windowMs } = config
  const now = clock.now()
  if (!hosts.some(({ addedAt }) => now - addedAt < windowMs)) return null
  return ({ weight, addedAt }) => weight * slowStartFactor(config, clock.now() - addedAt)
}
