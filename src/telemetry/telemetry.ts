import type { Destination, Outcome } from './outcome.ts'

/** What all calls of one (authority, route, cluster) have in common; bound once, when a snapshot is compiled. */
export interface CallLabels {
  /** `http` or `https`. */
  readonly scheme: string
  readonly authority: string
  readonly virtualHost: string
  readonly routeName: string
  readonly urlTemplate: string
  readonly clusterName: string
  readonly destination: Destination
  /** `1.1` or `2`, as `network.protocol.version` has it; absent when no cluster was chosen. */
  readonly protocolVersion?: string
}

/** Counters of one {@link CallLabels}, as the implementation keeps them. Opaque to everybody else. */
export interface CallSeries {
  readonly labels: CallLabels
}

/** The start of an outbound call, as far as a span needs it. */
export interface CallStart {
  /** Its method is that of the path. */
  readonly isGrpc: boolean
  readonly method: string
  readonly scheme: string
  readonly authority: string
  readonly path: string
  /** Wall-clock start in milliseconds since the epoch. */
  readonly startedAtWall: number
}

/** The span of one outbound call. Attempts are events on it. */
export interface CallSpan {
  /** Header values to send; they replace what the caller sent. `tracestate` and `baggage` may be empty. */
  readonly traceparent: string
  readonly tracestate: string
  readonly baggage: string
  /** An attempt begins. `attempt` counts from 1. */
  attempt(attempt: number, endpointAddress: string): void
  /** An attempt failed or was answered in a way that is retried. */
  retry(attempt: number, statusCode: number, reason: string, delayMs: number): void
}

/**
 * What the data path tells. One instance a process; the implementation decides what becomes of it.
 * Nothing here may throw, and on the path without a sampled span nothing here allocates.
 */
export interface Telemetry {
  bind(labels: CallLabels): CallSeries
  /** `null` when there is neither a trace to continue nor one to begin. */
  startSpan(call: CallStart): CallSpan | null
  /**
   * When the request that is being served has to be answered, for which the running code makes its calls: monotonic milliseconds; 0 when there
   * is none, or it has no end.
   */
  deadlineAt(): number
  /** An attempt of a gRPC call begins; `path` is its method. */
  startAttempt(series: CallSeries, path: string): void
  /** It ended. */
  endAttempt(series: CallSeries, path: string, grpcStatus: number, durationMs: number): void
  /** Called exactly once for an exchange: counts it, ends the span, writes the access log. */
  finish(series: CallSeries, outcome: Outcome, span: CallSpan | null): void
}
