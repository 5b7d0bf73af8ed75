/** The bucket boundaries that the HTTP semantic conventions advise for durations, in seconds. */
export const durationBoundaries: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

/** A histogram of durations in seconds over {@link durationBoundaries}: plain numbers, nothing allocated per recording. */
export class DurationHistogram {
  /** One more than there are boundaries; a value equal to a boundary belongs below it, as in OpenTelemetry. */
  readonly counts: number[] = new Array(durationBoundaries.length + 1).fill(0)
  count = 0
  sum = 0
  min = Number.POSITIVE_INFINITY
  max = 0

  record(seconds: number): void {
    let bucket = 0
    while (bucket < durationBoundaries.length && seconds > (durationBoundaries[bucket] ?? 0)) bucket++
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1
    this.count++
    this.sum += seconds
    if (seconds < this.min) this.min = seconds
    if (seconds > this.max) this.max = seconds
  }
}
