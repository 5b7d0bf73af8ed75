import type { CallSpan } from './telemetry.ts'

/** A call that is not recorded here, and yet carries its trace on, so that no service below begins one of its own. */
export class PropagatedCall implements CallSpan {
  readonly traceparent: string
  readonly tracestate: string
  readonly baggage: string

  constructor(traceparent: string, tracestate: string, baggage: string) {
    this.traceparent = traceparent
    this.tracestate = tracestate
    this.baggage = baggage
  }

  attempt(): void {}

  retry(): void {}
}
