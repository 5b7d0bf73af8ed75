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
  /** The same for an endpoint that is healthy; default {@link noTrafficIntervalMs}. */
  readonly noTrafficHealthyIntervalMs: number
  /** After a failure of an endpoint that is unhealthy; default the interval. */
  readonly unhealthyIntervalMs: number
  /** After a failure that was counted and is not yet enough; default {@link unhealthyIntervalMs}. */
  readonly unhealthyEdgeIntervalMs: number
  /** After a success that was counted and is not yet enough; default the interval. */
  readonly healthyEdgeIntervalMs: number
  /** Default true. */
  readonly reusesConnection: boolean
  /** Endpoints that were not checked yet do not count among those of their priority (`common_lb_config.ignore_new_hosts_until_first_hc`). */
  readonly ignoresNewHosts: boolean
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
  /** The authority; empty: the endpoint's hostname, else the cluster's name. */
  readonly host: string
  readonly metadata: readonly { readonly name: string; readonly value: string }[]
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

/** How a check ended, and what it found in words. */
export interface CheckAnswer {
  readonly result: CheckResult
  readonly reason: string
}

/**
 * The health of one endpoint by its checks, as Envoy judges it: it is unhealthy until its first success, and that one is enough; then failures
 * and successes are counted, and an answer that says "unhealthy" needs no counting.
 */
export class CheckedHealth {
  readonly #config: HealthCheckConfig
  #isUnhealthy = true
  #isFirst = true
  #failures = 0
  #successes = 0
  #hasSucceeded = false
  /** The last check was counted, and was not enough to change anything. */
  #isChanging = false

  /** @param previous what was known of the same endpoint in an earlier cluster */
  constructor(config: HealthCheckConfig, previous: CheckedHealth | null = null) {
    this.#config = config
    if (previous === null) return
    this.#isUnhealthy = previous.#isUnhealthy
    this.#isFirst = previous.#isFirst
    this.#failures = previous.#failures
    this.#successes = previous.#successes
  }

  get isUnhealthy(): boolean {
    return this.#isUnhealthy
  }

  /** No check has ended yet. */
  get isPending(): boolean {
    return this.#isFirst
  }

  /** Judges a check. Returns whether the health has changed. */
  report(result: CheckResult): boolean {
    const wasUnhealthy = this.#isUnhealthy
    this.#hasSucceeded = result === 'healthy'
    if (this.#hasSucceeded) this.#succeed()
    else this.#fail(result)
    this.#isFirst = false
    return this.#isUnhealthy !== wasUnhealthy
  }

  /** The time until the first check. */
  firstDelayMs(random: Random): number {
    const { initialJitterMs } = this.#config
    return initialJitterMs === 0 ? 0 : Math.max(1, random() * initialJitterMs)
  }

  /**
   * The time until the next check. An edge interval is that of counting, whatever the comments of the proto say: Envoy takes it while a change is
   * pending, and not after the change. Never 0: it would check without end.
   *
   * @param hasTraffic whether the cluster was ever called
   */
  nextDelayMs(hasTraffic: boolean, random: Random): number {
    const base = this.#intervalMs(hasTraffic)
    const percent = (base * this.#config.intervalJitterPercent) / 100
    return Math.max(1, base + random() * percent + random() * this.#config.intervalJitterMs)
  }

  #intervalMs(hasTraffic: boolean): number {
    const config = this.#config
    if (!hasTraffic)
      return this.#hasSucceeded && !this.#isChanging ? config.noTrafficHealthyIntervalMs : config.noTrafficIntervalMs
    if (this.#hasSucceeded) return this.#isChanging ? config.healthyEdgeIntervalMs : config.intervalMs
    return this.#isChanging ? config.unhealthyEdgeIntervalMs : config.unhealthyIntervalMs
  }

  #succeed(): void {
    this.#failures = 0
    this.#isChanging = false
    if (!this.#isUnhealthy) return
    if (this.#isFirst || ++this.#successes >= this.#config.healthyThreshold) this.#isUnhealthy = false
    else this.#isChanging = true
  }

  #fail(result: CheckResult): void {
    this.#successes = 0
    this.#isChanging = false
    if (this.#isUnhealthy) return
    if (result === 'unhealthy' || ++this.#failures >= this.#config.unhealthyThreshold) this.#isUnhealthy = true
    else this.#isChanging = true
  }
}

/** What the status of an answer says. */
export function judgeStatus(status: number, { expectedStatuses, retriableStatuses }: HttpCheck): CheckAnswer {
  const reason = `status ${status}`
  if (isInRanges(status, expectedStatuses)) return { result: 'healthy', reason }
  return { result: isInRanges(status, retriableStatuses) ? 'failed' : 'unhealthy', reason }
}

function isInRanges(status: number, ranges: readonly StatusRange[]): boolean {
  return ranges.some(({ start, end }) => status >= start && status < end)
}
