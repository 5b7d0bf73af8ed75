import { DurationHistogram } from './histogram.ts'

/** Requests to this process that had the same method and status. */
export interface InboundPoint {
  readonly method: string
  readonly statusCode: number
  readonly duration: DurationHistogram
}

/** What is counted of the requests this process serves. */
export class InboundStats {
  readonly points: InboundPoint[] = []
  /** Requests being served. */
  active = 0

  record(method: string, statusCode: number, durationMs: number): void {
    let point = this.points.find(each => each.statusCode === statusCode && each.method === method)
    if (point === undefined) {
      point = { method, statusCode, duration: new DurationHistogram() }
      this.points.push(point)
    }
    point.duration.record(durationMs / 1000)
  }
}
