import type { Outcome } from '../../src/telemetry/outcome.ts'
import type { CallLabels, CallSeries, CallSpan, CallStart, Telemetry } from '../../src/telemetry/telemetry.ts'

/** A copy of what an exchange reported when it ended. */
export interface FinishedCall {
  readonly labels: CallLabels
  readonly outcome: { readonly [key in keyof Outcome]: Outcome[key] }
  readonly span: CallSpan | null
}

/** Remembers every call. */
export class RecordingTelemetry implements Telemetry {
  readonly bound: CallLabels[] = []
  readonly started: CallStart[] = []
  readonly finished: FinishedCall[] = []
  /** Events of the spans, in order. */
  readonly events: string[] = []
  /** Makes the span of every call; none by default. */
  traced = false
  /** Of the request that every call is made for; none by default. */
  requestDeadlineAt = 0

  bind(labels: CallLabels): CallSeries {
    this.bound.push(labels)
    return { labels }
  }

  startSpan(call: CallStart): CallSpan | null {
    this.started.push(call)
    if (!this.traced) return null
    return {
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      tracestate: 'vendor=1',
      baggage: '',
      attempt: (attempt, endpoint) => this.events.push(`attempt ${attempt} ${endpoint}`),
      retry: (attempt, statusCode, reason) => this.events.push(`retry ${attempt} ${statusCode} ${reason}`),
    }
  }

  deadlineAt(): number {
    return this.requestDeadlineAt
  }

  startAttempt(): void {}

  endAttempt(): void {}

  finish(series: CallSeries, outcome: Outcome, span: CallSpan | null): void {
    const { startedAt, durationMs, method, scheme, authority, path, routeName, urlTemplate, clusterName } = outcome
    const { destination, endpointAddress, statusCode, grpcStatus, flag, attempts, requestBytes, responseBytes, error } = outcome
    const called = { startedAt, durationMs, method, scheme, authority, path, routeName, urlTemplate, clusterName }
    const ended = { destination, endpointAddress, statusCode, grpcStatus, flag, attempts, requestBytes, responseBytes, error }
    this.finished.push({ labels: series.labels, outcome: { ...called, ...ended }, span })
  }
}
