import { Histogram } from './histogram.ts'
import type { MetricAttributes } from './metric-family.ts'
import type { Outcome } from './outcome.ts'
import { grpcLatencyBoundariesS, grpcRetryBoundaries, grpcStatusName, rpcMethod } from './rpc-conventions.ts'
import { durationBoundariesS } from './semantic-conventions.ts'

/** Methods kept apart within one series; the calls of later ones are counted together. */
const maxMethods = 100

/** Numbers of all calls of one method that ended with the same status and flag. */
export class RpcCell {
  readonly status: number
  readonly flag: string
  /** Of the semantic conventions. */
  readonly attributes: MetricAttributes
  readonly durationS: Histogram
  attempts: number
  retries: number

  constructor(status: number, flag: string, attributes: MetricAttributes) {
    this.status = status
    this.flag = flag
    this.attributes = attributes
    this.durationS = new Histogram(durationBoundariesS)
    this.attempts = 0
    this.retries = 0
  }
}

/** Durations by status, found by the status of the one before. */
class DurationsByStatus {
  readonly byStatus: (Histogram | undefined)[] = []

  record(status: number, seconds: number): void {
    let histogram = this.byStatus[status]
    if (histogram === undefined) {
      histogram = new Histogram(grpcLatencyBoundariesS)
      this.byStatus[status] = histogram
    }
    histogram.record(seconds)
  }
}

/** Numbers of one method: gRPC's own (gRFC A66, A96), and a cell for each way in which its calls end. */
export class RpcMethodStats {
  /** As callers name it, `/package.Service/Method`. */
  readonly path: string
  /** `grpc.method` and `rpc.method`; `other` stands for the methods beyond the limit. */
  readonly method: string
  readonly cells: RpcCell[] = []
  /** `grpc.client.attempt.duration` */
  readonly attemptDurationS = new DurationsByStatus()
  /** `grpc.client.call.duration` */
  readonly callDurationS = new DurationsByStatus()
  /** `grpc.client.call.retries` of calls that had some. */
  readonly retries = new Histogram(grpcRetryBoundaries)
  attemptsStarted = 0
  readonly #shared: MetricAttributes
  #last: RpcCell | null = null

  constructor(path: string, method: string, shared: MetricAttributes) {
    this.path = path
    this.method = method
    this.#shared = shared
  }

  /** Counts a finished call. */
  add(outcome: Outcome): RpcCell {
    const { grpcStatus, durationMs, attempts } = outcome
    const cell = this.#cell(grpcStatus, outcome.flag)
    cell.durationS.record(durationMs / 1000)
    cell.attempts += attempts
    this.callDurationS.record(grpcStatus, durationMs / 1000)
    if (attempts > 1) {
      cell.retries += attempts - 1
      this.retries.record(attempts - 1)
    }
    return cell
  }

  #cell(status: number, flag: string): RpcCell {
    const last = this.#last
    if (last !== null && last.status === status && last.flag === flag) return last
    let cell = this.cells.find(each => each.status === status && each.flag === flag)
    if (cell === undefined) {
      const name = grpcStatusName(status)
      cell = new RpcCell(status, flag, {
        'rpc.system.name': 'grpc',
        'rpc.method': this.method === 'other' ? '_OTHER' : this.method,
        'rpc.status_code': name,
        ...(status === 0 ? {} : { 'error.type': name }),
        ...this.#shared,
        ...(flag === '' ? {} : { 'inmesh.response_flag': flag }),
      })
      this.cells.push(cell)
    }
    this.#last = cell
    return cell
  }
}

/** The gRPC calls of one series, by method. */
export class RpcStats {
  readonly methods: RpcMethodStats[] = []
  readonly #shared: MetricAttributes
  #last: RpcMethodStats | null = null

  /** @param shared attributes that all calls of the series have in common */
  constructor(shared: MetricAttributes) {
    this.#shared = shared
  }

  /** The numbers of the method at `path`. */
  method(path: string): RpcMethodStats {
    const last = this.#last
    if (last !== null && last.path === path) return last
    const found = this.methods.find(each => each.path === path) ?? this.#add(path)
    this.#last = found
    return found
  }

  #add(path: string): RpcMethodStats {
    const isFull = this.methods.length >= maxMethods
    const other = isFull ? this.methods.find(({ method }) => method === 'other') : undefined
    if (other !== undefined) return other
    const made = new RpcMethodStats(path, isFull ? 'other' : rpcMethod(path), this.#shared)
    this.methods.push(made)
    return made
  }
}
