import type { Duration } from '@bufbuild/protobuf/wkt'
import type { Problems } from './problems.ts'

const maxSeconds = 315_576_000_000n

/** What a duration may be: any sign, not below zero, or above zero. */
export type DurationRange = 'any' | 'non-negative' | 'positive'

/** A `google.protobuf.Duration` in milliseconds; reports what is malformed or out of range. */
export function durationMs(duration: Duration, range: DurationRange, problems: Problems): number {
  const { seconds, nanos } = duration
  if (seconds > maxSeconds || seconds < -maxSeconds || Math.abs(nanos) > 999_999_999) {
    problems.add(`is not a duration: ${seconds} seconds and ${nanos} nanoseconds`)
    return 0
  }
  if ((seconds > 0n && nanos < 0) || (seconds < 0n && nanos > 0)) {
    problems.add(`is not a duration: ${seconds} seconds and ${nanos} nanoseconds differ in sign`)
    return 0
  }
  const ms = Number(seconds) * 1000 + nanos / 1e6
  if (range === 'positive' && ms <= 0) problems.add(`must be > 0, got ${ms / 1000}s`)
  if (range === 'non-negative' && ms < 0) problems.add(`must be >= 0, got ${ms / 1000}s`)
  return ms
}

/** {@link durationMs} of a field that may be absent. */
export function optionalDurationMs(
  duration: Duration | undefined,
  range: DurationRange,
  problems: Problems,
  field: string,
): number | undefined {
  return duration === undefined ? undefined : durationMs(duration, range, problems.at(field))
}

/** A timeout that zero turns off, as `undefined`. */
export function timeoutMs(duration: Duration | undefined, problems: Problems, field: string): number | undefined {
  const ms = optionalDurationMs(duration, 'non-negative', problems, field)
  return ms === 0 ? undefined : ms
}
