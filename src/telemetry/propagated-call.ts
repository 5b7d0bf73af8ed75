import type { CallSpan } from './telemetry.ts'
import { formatTraceparent } from './trace-context.ts'

/** A call that is not recorded here, and yet carries its trace on, so that no service below begins one of its own. */
export class PropagatedCall implements CallSpan {
  readonly traceparent: string
  readonly tracestate: string
  readonly baggage: string

  constructor(traceId: string, spanId: string, sampled: boolean, tracestate: string, baggage: string) {
    this.traceparent = formatTraceparent(traceId, spanId, sampled)
    this.tracestate = tracestate
    this.baggage = baggage
  }

  attempt(): void {}

  retry(): void {}
}
