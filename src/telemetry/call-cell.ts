import { Histogram } from './histogram.ts'
import type { MetricAttributes } from './metric-family.ts'
import type { Outcome } from './outcome.ts'
import { durationBoundariesS, sizeBoundariesBytes } from './semantic-conventions.ts'

/** Numbers of all calls that have every attribute in common. */
export class CallCell {
  readonly method: string
  readonly statusCode: number
  readonly flag: string
  readonly errorType: string
  readonly attributes: MetricAttributes
  readonly durationS: Histogram
  readonly requestBytes: Histogram
  readonly responseBytes: Histogram
  attempts: number
  retries: number

  constructor(method: string, statusCode: number, flag: string, errorType: string, attributes: MetricAttributes) {
    this.method = method
    this.statusCode = statusCode
    this.flag = flag
    this.errorType = errorType
    this.attributes = attributes
    this.durationS = new Histogram(durationBoundariesS)
    this.requestBytes = new Histogram(sizeBoundariesBytes)
    this.responseBytes = new Histogram(sizeBoundariesBytes)
    this.attempts = 0
    this.retries = 0
  }

  /** Counts a finished call. */
  add({ durationMs, requestBytes, responseBytes, attempts }: Outcome): void {
    this.durationS.record(durationMs / 1000)
    this.requestBytes.record(requestBytes)
    this.responseBytes.record(responseBytes)
    this.attempts += attempts
    if (attempts > 1) this.retries += attempts - 1
  }
}
