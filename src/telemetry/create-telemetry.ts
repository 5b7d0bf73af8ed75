import { type Tracer, trace } from '@opentelemetry/api'
import type { Clock } from '../runtime.ts'
import type { AccessLog } from './access-log.ts'
import { CallStats } from './call-stats.ts'
import { ClientSpan, startClientSpan } from './client-span.ts'
import { InboundStats } from './inbound-stats.ts'
import type { Outcome } from './outcome.ts'
import type { CallLabels, CallSeries, CallSpan, CallStart, Telemetry } from './telemetry.ts'

/** How {@link MeshTelemetry} is made. */
export interface TelemetryOptions {
  /** Name of this service, the source of every call. */
  readonly service: string
  readonly clock: Clock
  /** Default: none. */
  readonly accessLog?: AccessLog | null
}

/** Counts in memory, traces through the OpenTelemetry API when an SDK is there, and writes the access log. */
export class MeshTelemetry implements Telemetry {
  readonly service: string
  readonly inbound = new InboundStats()
  readonly #clock: Clock
  readonly #accessLog: AccessLog | null
  readonly #tracer: Tracer
  readonly #stats = new Map<string, CallStats>()

  constructor({ service, clock, accessLog }: TelemetryOptions) {
    this.service = service
    this.#clock = clock
    this.#accessLog = accessLog ?? null
    this.#tracer = trace.getTracer('inmesh')
  }

  /** Everything counted so far. */
  get stats(): Iterable<CallStats> {
    return this.#stats.values()
  }

  get tracer(): Tracer {
    return this.#tracer
  }

  /** The same labels give the same series, so that counts outlive a new configuration. */
  bind(labels: CallLabels): CallSeries {
    const key = JSON.stringify(labels)
    let stats = this.#stats.get(key)
    if (stats === undefined) {
      stats = new CallStats(labels, this.service)
      this.#stats.set(key, stats)
    }
    return stats
  }

  startSpan(call: CallStart): CallSpan | null {
    return startClientSpan(this.#tracer, call)
  }

  finish(series: CallSeries, outcome: Outcome, span: CallSpan | null): void {
    if (series instanceof CallStats) series.cell(outcome).add(outcome)
    if (span instanceof ClientSpan) span.end(outcome, this.service)
    if (this.#accessLog !== null) this.#accessLog.write(outcome, this.#clock.wallNow())
  }
}
