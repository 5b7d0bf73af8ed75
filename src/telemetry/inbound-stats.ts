import { Histogram } from './histogram.ts'
import { durationBoundariesS, knownMethod } from './semantic-conventions.ts'

/** Requests to this process that had the same method and status. */
export interface InboundPoint {
  readonly method: string
  readonly statusCode: number
  readonly durationS: Histogram
}

/** What is counted of the requests this process serves. */
export class InboundStats {
  readonly points: InboundPoint[] = []
  /** Requests being served. */
  active = 0

  record(requestMethod: string, statusCode: number, durationMs: number): void {
    const method = knownMethod(requestMethod)
    let point = this.points.find(each => each.statusCode === statusCode && each.method === method)
    if (point === undefined) {
      point = { method, statusCode, durationS: new Histogram(durationBoundariesS) }
      this.points.push(point)
    }
    point.durationS.record(durationMs / 1000)
  }
}
