import type { Clock } from '../runtime.ts'
import type { AccessLog } from './access-log.ts'
import type { ApiInstruments } from './api-instruments.ts'
import type { InboundOutcome, InboundRequest } from './inbound-request.ts'
import type { InboundStats } from './inbound-stats.ts'
import { finishInboundSpan, type InboundTrace } from './inbound-tracing.ts'
import { isStored, runInScope } from './request-scope.ts'

/** What tells of requests. */
export interface InboundSinks {
  readonly stats: InboundStats
  readonly instruments: ApiInstruments
  readonly accessLog: AccessLog | null
  readonly clock: Clock
}

/** One request that a server of this process serves. */
export class InboundExchange {
  readonly request: InboundRequest
  readonly #trace: InboundTrace
  readonly #sinks: InboundSinks
  readonly #startedAt: number
  readonly #startedAtWall: number
  #isFinished: boolean

  constructor(request: InboundRequest, trace: InboundTrace, sinks: InboundSinks, startedAt: number, startedAtWall: number) {
    this.request = request
    this.#trace = trace
    this.#sinks = sinks
    this.#startedAt = startedAt
    this.#startedAtWall = startedAtWall
    this.#isFinished = false
    sinks.stats.begin(request)
  }

  /** Runs code on behalf of the request: calls that it makes, now or later, belong to the same trace. */
  run<Result>(run: () => Result): Result {
    return runInScope(this.#trace.scope, this.#trace.otel, run)
  }

  /** Whether the code that runs now runs on behalf of the request, as far as that makes a difference. */
  get isCurrent(): boolean {
    const { otel, scope } = this.#trace
    return otel === null && isStored(scope)
  }

  /** The answer is complete, or will never be. Only the first call counts. */
  finish(ended: Omit<InboundOutcome, 'durationMs'>): void {
    if (this.#isFinished) return
    this.#isFinished = true
    const { stats, instruments, accessLog, clock } = this.#sinks
    this.#trace.scope.answered()
    const durationMs = clock.now() - this.#startedAt
    const outcome = { ...ended, durationMs }
    const { attributes } = stats.add(this.request, outcome)
    // Whoever counts may have come since the last request.
    instruments.look()
    if (instruments.isEnabled) instruments.recordRequest(attributes, durationMs, this.request.isGrpc)
    const { span, scope } = this.#trace
    if (span !== null) finishInboundSpan(span, this.request, outcome, this.#startedAtWall + durationMs)
    if (accessLog !== null) accessLog.writeRequest(this.request, outcome, scope.trace, this.#startedAtWall)
  }
}
