import { DurationHistogram } from './histogram.ts'
import type { Outcome } from './outcome.ts'
import type { ResponseFlag } from './response-flag.ts'
import type { CallLabels, CallSeries } from './telemetry.ts'

/** What is counted of the calls that had the same method, status and response flag. */
export class CallPoint {
  readonly method: string
  /** 0: there was no answer. */
  readonly statusCode: number
  readonly flag: ResponseFlag
  /** `error.type` of a call without an answer, or empty. */
  readonly errorType: string
  readonly duration = new DurationHistogram()
  attempts = 0
  requestBytes = 0
  responseBytes = 0

  constructor(method: string, statusCode: number, flag: ResponseFlag, errorType: string) {
    this.method = method
    this.statusCode = statusCode
    this.flag = flag
    this.errorType = errorType
  }
}

/** The calls of one (authority, route, cluster). Few points are ever needed, and the last one is nearly always the next one's. */
export class CallStats implements CallSeries {
  readonly labels: CallLabels
  readonly points: CallPoint[] = []
  #last: CallPoint | null = null

  constructor(labels: CallLabels) {
    this.labels = labels
  }

  record(outcome: Outcome): void {
    const last = this.#last
    const point = last !== null && isOf(last, outcome) ? last : this.#find(outcome)
    point.duration.record(outcome.durationMs / 1000)
    point.attempts += outcome.attempts
    point.requestBytes += outcome.requestBytes
    point.responseBytes += outcome.responseBytes
  }

  #find(outcome: Outcome): CallPoint {
    let point = this.points.find(each => isOf(each, outcome))
    if (point === undefined) {
      point = new CallPoint(outcome.method, outcome.statusCode, outcome.flag, errorTypeOf(outcome))
      this.points.push(point)
    }
    this.#last = point
    return point
  }
}

function isOf(point: CallPoint, { method, statusCode, flag }: Outcome): boolean {
  return point.statusCode === statusCode && point.method === method && point.flag === flag
}

/** `error.type` of the semantic conventions: the status when it is an error, else the code or the class of the error. */
export function errorTypeOf({ statusCode, error }: Pick<Outcome, 'statusCode' | 'error'>): string {
  if (statusCode >= 400) return String(statusCode)
  if (error === null) return ''
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
