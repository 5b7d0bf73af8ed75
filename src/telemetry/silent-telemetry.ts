import type { CallLabels, CallSeries, CallSpan, Telemetry } from './telemetry.ts'

/** Counts and traces nothing. */
export const silentTelemetry: Telemetry = {
  bind(labels: CallLabels): CallSeries {
    return { labels }
  },
  startSpan(): CallSpan | null {
    return null
  },
  startAttempt() {},
  endAttempt() {},
  finish() {},
}
