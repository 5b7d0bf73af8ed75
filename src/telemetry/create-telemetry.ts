import type { Runtime } from '../runtime.ts'
import type { AccessLog } from './access-log.ts'
import { ApiInstruments } from './api-instruments.ts'
import { CallStats } from './call-stats.ts'
import { CallTracing, type ClientSpans } from './call-tracing.ts'
import { InboundExchange, type InboundSinks } from './inbound-exchange.ts'
import type { InboundRequest } from './inbound-request.ts'
import { InboundTracing } from './inbound-tracing.ts'
import type { Outcome } from './outcome.ts'
import { RecordedCall } from './recorded-call.ts'
import { currentScope } from './request-scope.ts'
import { Stats } from './stats.ts'
import type { CallLabels, CallSeries, CallSpan, CallStart, Telemetry } from './telemetry.ts'
import { TracingState } from './tracing-state.ts'

/** How {@link MeshTelemetry} is made. */
export interface TelemetryOptions {
  /** Name of this service, the source of every call; empty when it is not known. */
  readonly service: string
  readonly runtime: Pick<Runtime, 'clock' | 'random'>
  /** Default: none. */
  readonly accessLog?: AccessLog | null
  /** Default `auto`. */
  readonly clientSpans?: ClientSpans
}

/**
 * What becomes of calls and requests: counted in plain fields, traced through the OpenTelemetry API when an SDK is registered, their trace
 * carried on either way, and written to the access log.
 */
export class MeshTelemetry implements Telemetry {
  readonly service: string
  readonly stats: Stats
  readonly tracing: TracingState
  readonly #runtime: Pick<Runtime, 'clock' | 'random'>
  readonly #accessLog: AccessLog | null
  readonly #calls: CallTracing
  readonly #inbound: InboundTracing
  readonly #instruments: ApiInstruments
  readonly #inboundSinks: InboundSinks

  constructor({ service, runtime, accessLog = null, clientSpans = 'auto' }: TelemetryOptions) {
    this.service = service
    this.stats = new Stats(service, runtime.clock)
    this.tracing = new TracingState(runtime.random)
    this.#runtime = runtime
    this.#accessLog = accessLog
    this.#calls = new CallTracing(this.tracing, clientSpans)
    this.#inbound = new InboundTracing(this.tracing)
    this.#instruments = new ApiInstruments()
    const { clock } = runtime
    this.#inboundSinks = { stats: this.stats.inbound, instruments: this.#instruments, accessLog, clock }
  }

  /**
   * Says that a metric producer hands {@link stats} to a reader. Without one, numbers go to the instruments of the meter provider that the
   * application registered, if it did.
   */
  producesMetrics(): void {
    this.#instruments.disable()
  }

  /** Hands what the access log has collected to its destination. */
  flush(): void {
    this.#accessLog?.flush()
  }

  bind(labels: CallLabels): CallSeries {
    this.#instruments.look()
    return this.stats.bind(labels)
  }

  startSpan(call: CallStart): CallSpan | null {
    return this.#calls.start(call)
  }

  deadlineAt(): number {
    return currentScope()?.deadlineAt ?? 0
  }

  finish(series: CallSeries, outcome: Outcome, span: CallSpan | null): void {
    if (series instanceof CallStats) this.#count(series, outcome)
    if (span instanceof RecordedCall) span.finish(outcome, this.service, series.labels.protocolVersion)
    if (this.#accessLog !== null) this.#accessLog.writeCall(outcome, span, this.#runtime.clock.wallNow())
  }

  startAttempt(series: CallSeries, path: string): void {
    if (series instanceof CallStats) series.rpc.method(path).attemptsStarted++
  }

  endAttempt(series: CallSeries, path: string, grpcStatus: number, durationMs: number): void {
    if (series instanceof CallStats) series.rpc.method(path).attemptDurationS.record(grpcStatus, durationMs / 1000)
  }

  #count(series: CallStats, outcome: Outcome): void {
    if (outcome.grpcStatus >= 0) {
      const { attributes } = series.rpc.method(outcome.path).add(outcome)
      if (this.#instruments.isEnabled) this.#instruments.recordRpc(attributes, outcome)
      return
    }
    const cell = series.cell(outcome)
    cell.add(outcome)
    if (this.#instruments.isEnabled) this.#instruments.recordCall(cell.attributes, outcome)
  }

  /**
   * A server received a request.
   *
   * @param deadlineMs how long the caller waits for the answer; 0 when it did not say
   * @param hasForeignSpan see {@link InboundTracing.start}
   */
  receive(request: InboundRequest, deadlineMs: number, hasForeignSpan: boolean): InboundExchange {
    const { clock } = this.#runtime
    const startedAt = clock.now()
    const startedAtWall = clock.wallNow()
    const deadlineAt = deadlineMs > 0 ? startedAt + deadlineMs : 0
    const trace = this.#inbound.start(request, startedAt, startedAtWall, deadlineAt, hasForeignSpan)
    return new InboundExchange(request, trace, this.#inboundSinks, startedAt, startedAtWall)
  }
}
