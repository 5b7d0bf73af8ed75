import { AsyncLocalStorage } from 'node:async_hooks'
import type { Baggage, Context } from '@opentelemetry/api'
import { context, createContextKey, ROOT_CONTEXT } from './opentelemetry.ts'
import { PropagatedCall } from './propagated-call.ts'
import type { CallSpan } from './telemetry.ts'
import { formatTraceparent, type TraceContext } from './trace-context.ts'

/** What an inbound request hands to the calls that are made on its behalf. */
export class RequestScope {
  /** The server's place in the trace; `null` when the request is part of none. */
  readonly trace: TraceContext | null
  /** As it came; empty when there was none. */
  readonly tracestate: string
  /** As it came; empty when there was none. */
  readonly baggage: string
  /** {@link baggage} as the OpenTelemetry context holds it. */
  readonly parsedBaggage: Baggage | undefined
  /** There is nothing to hand on. */
  readonly isEmpty: boolean
  #deadlineAt: number
  #call: CallSpan | null

  constructor(
    trace: TraceContext | null,
    tracestate: string,
    baggage: string,
    parsedBaggage: Baggage | undefined,
    deadlineAt: number,
  ) {
    this.trace = trace
    this.tracestate = tracestate
    this.baggage = baggage
    this.parsedBaggage = parsedBaggage
    this.#deadlineAt = deadlineAt
    this.isEmpty = trace === null && baggage === '' && deadlineAt === 0
    this.#call = null
  }

  /** Monotonic time in milliseconds by which the caller wants its answer; 0 when it did not say, or has had it. */
  get deadlineAt(): number {
    return this.#deadlineAt
  }

  /** The caller has had its answer: what goes on, or begins later, has no deadline of it. */
  answered(): void {
    this.#deadlineAt = 0
  }

  /** What every unrecorded call on behalf of the request sends: the same each time, so it is made once. */
  get call(): CallSpan | null {
    if (this.#call === null && this.trace !== null) {
      const { traceId, spanId, sampled } = this.trace
      this.#call = new PropagatedCall(formatTraceparent(traceId, spanId, sampled), this.tracestate, this.baggage)
    }
    return this.#call
  }
}

export const scopeKey = createContextKey('inmesh.request-scope')
const probeKey = createContextKey('inmesh.probe')
const probe = ROOT_CONTEXT.setValue(probeKey, true)

// Where no OpenTelemetry context manager is registered. The only one of this package: each costs every `await` on older Nodes.
const storage = new AsyncLocalStorage<RequestScope>()
let isContextManaged = false

/** Looks whether somebody registered an OpenTelemetry context manager, who then stays. */
export function lookForContextManager(): void {
  if (!isContextManaged) isContextManaged = context.with(probe, isProbeActive)
}

/** Whether {@link lookForContextManager} has found one. */
export function hasContextManager(): boolean {
  return isContextManaged
}

function isProbeActive(): boolean {
  return context.active().getValue(probeKey) === true
}

/** Whether code that runs now, where no context manager is registered, finds what `scope` has to hand on. */
export function isStored(scope: RequestScope): boolean {
  const stored = storage.getStore()
  return stored === scope || (stored === undefined && scope.isEmpty)
}

/** The scope of the request on whose behalf the code runs; `undefined`: of none, or of one that hands on nothing. */
export function currentScope(): RequestScope | undefined {
  if (!isContextManaged) return storage.getStore()
  const scope = context.active().getValue(scopeKey)
  return scope instanceof RequestScope ? scope : undefined
}

/** Runs `run` in `scope`, through the OpenTelemetry context where one is given, else through this package's own storage. */
export function runInScope<Result>(scope: RequestScope, otel: Context | null, run: () => Result): Result {
  if (otel !== null) return context.with(otel, run)
  // To enter a scope, and to leave it, costs a new frame of the context each.
  return isStored(scope) ? run() : storage.run(scope, run)
}
