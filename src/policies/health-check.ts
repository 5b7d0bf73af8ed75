import type { Random } from '../runtime.ts'

/** `envoy.config.core.v3.HealthCheck`, decoded. Times in milliseconds. */
export interface HealthCheckConfig {
  readonly timeoutMs: number
  readonly intervalMs: number
  /** Failures in a row that make an endpoint unhealthy, unless one answers that it is. */
  readonly unhealthyThreshold: number
  /** Successes in a row that make it healthy again. */
  readonly healthyThreshold: number
  /** Spreads the first checks. */
  readonly initialJitterMs: number
  readonly intervalJitterMs: number
  /** Of the interval, 0 to 100. */
  readonly intervalJitterPercent: number
  /** While the cluster was never called; default 60,000. */
  readonly noTrafficIntervalMs: number
  /** While the endpoint is unhealthy; default the interval. */
  readonly unhealthyIntervalMs: number
  /** After the check that made it unhealthy; default {@link unhealthyIntervalMs}. */
  readonly unhealthyEdgeIntervalMs: number
  /** After the check that made it healthy; default the interval. */
  readonly healthyEdgeIntervalMs: number
  readonly check: HttpCheck | GrpcCheck | TcpCheck
}

/** From `start` up to, and without, `end`. */
export interface StatusRange {
  readonly start: number
  readonly end: number
}

/** A request that is answered as expected. */
export interface HttpCheck {
  readonly kind: 'http'
  /** The Host header; empty: the endpoint's hostname, else the cluster's name. */
  readonly host: string
  readonly path: string
  readonly method: string
  /** Flat: name, value, name, value … */
  readonly headers: readonly string[]
  readonly expectedStatuses: readonly StatusRange[]
  /** Statuses that count as one failure, as a broken connection does, and not as an answer that it is unhealthy. */
  readonly retriableStatuses: readonly StatusRange[]
}

/** `grpc.health.v1.Health/Check` that answers SERVING. */
export interface GrpcCheck {
  readonly kind: 'grpc'
  /** Empty: the whole server. */
  readonly service: string
  /** Empty: the endpoint's hostname, else the cluster's name. */
  readonly authority: string
}

/** A connection, and what comes back on it. */
export interface TcpCheck {
  readonly kind: 'tcp'
  /** Hexadecimal; empty: the connection is enough. */
  readonly send: string
  /** Hexadecimal; each is to come after the one before. */
  readonly receive: readonly string[]
}

/** How a check ended: `unhealthy` is the endpoint's own word, `failed` no word at all. */
export type CheckResult = 'healthy' | 'unhealthy' | 'failed'

/**
 * The health of one endpoint by its checks, as Envoy judges it: the first check decides at once; then failures and successes are counted, and
 * an answer that says "unhealthy" needs no counting.
 */
export class CheckedHealth {
  readonly #config: HealthCheckConfig
  #isUnhealthy = false
  #isFirst = true
  #failures = 0
  #successes = 0
  #wasEdge = false

  constructor(config: HealthCheckConfig) {
    this.#config = config
  }

  get isUnhealthy(): boolean {
    return this.#isUnhealthy
  }

  /** Takes over what the same endpoint had in an earlier cluster. */
  adopt(isUnhealthy: boolean): void {
    this.#isUnhealthy = isUnhealthy
    this.#isFirst = false
  }

  /** Judges a check. Returns whether the health has changed. */
  report(result: CheckResult): boolean {
    const isUnhealthy = result === 'healthy' ? this.#afterSuccess() : this.#afterFailure(result)
    this.#wasEdge = isUnhealthy !== this.#isUnhealthy
    this.#isUnhealthy = isUnhealthy
    this.#isFirst = false
    return this.#wasEdge
  }

  /**
   * The time until the next check.
   *
   * @param hasTraffic whether the cluster was ever called
   */
  nextDelayMs(hasTraffic: boolean, random: Random): number {
    const base = this.#intervalMs(hasTraffic)
    const percent = (base * this.#config.intervalJitterPercent) / 100
    return base + random() * percent + random() * this.#config.intervalJitterMs
  }

  #intervalMs(hasTraffic: boolean): number {
    const { intervalMs, noTrafficIntervalMs, unhealthyIntervalMs, unhealthyEdgeIntervalMs, healthyEdgeIntervalMs } = this.#config
    if (!hasTraffic) return noTrafficIntervalMs
    if (this.#isUnhealthy) return this.#wasEdge ? unhealthyEdgeIntervalMs : unhealthyIntervalMs
    return this.#wasEdge ? healthyEdgeIntervalMs : intervalMs
  }

  #afterSuccess(): boolean {
    this.#failures = 0
    if (!this.#isUnhealthy) return false
    this.#successes++
    return this.#successes < this.#config.healthyThreshold
  }

  #afterFailure(result: CheckResult): boolean {
    this.#successes = 0
    if (this.#isUnhealthy || this.#isFirst || result === 'unhealthy') return true
    this.#failures++
    return this.#failures >= this.#config.unhealthyThreshold
  }
}

/** Whether a status lies in one of the ranges. */
export function isInRanges(status: number, ranges: readonly StatusRange[]): boolean {
  return ranges.some(({ start, end }) => status >= start && status < end)
}
