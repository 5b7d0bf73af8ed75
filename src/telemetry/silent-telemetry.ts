import type { CallLabels, CallSeries, CallSpan, Telemetry } from './telemetry.ts'

/** Counts and traces nothing. */
export const silentTelemetry: Telemetry = {
  bind(labels: CallLabels): CallSeries {
    return { labels }
  },
  startSpan(): CallSpan | null {
    return null
  },
  deadlineAt() {
    return 0
  },
  startAttempt() {},
  endAttempt() {},
  finish() {},
}
