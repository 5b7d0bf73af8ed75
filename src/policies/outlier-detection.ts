import type { Clock, Random } from '../runtime.ts'

/** `envoy.config.cluster.v3.OutlierDetection`, decoded with Envoy's defaults. Percentages are 0 to 100. */
export interface OutlierDetectionConfig {
  /** Default 5; 0 is off. */
  readonly consecutive5xx: number
  /** Default 100. */
  readonly enforcingConsecutive5xx: number
  /** Default 5. */
  readonly consecutiveGatewayFailure: number
  /** Default 0. */
  readonly enforcingConsecutiveGatewayFailure: number
  /** Default false. */
  readonly splitExternalLocalOriginErrors: boolean
  /** Default 5. */
  readonly consecutiveLocalOriginFailure: number
  /** Default 100. */
  readonly enforcingConsecutiveLocalOriginFailure: number
  readonly successRateMinimumHosts: number
  readonly successRateRequestVolume: number
  /** Default 1900, in thousandths. */
  readonly successRateStdevFactor: number
  readonly enforcingSuccessRate: number
  readonly failurePercentageThreshold: number
  readonly failurePercentageMinimumHosts: number
  readonly failurePercentageRequestVolume: number
  /** Default 0. */
  readonly enforcingFailurePercentage: number
  /** Default 10,000. */
  readonly intervalMs: number
  /** Default 30,000. */
  readonly baseEjectionTimeMs: number
  /** Default 300,000, and at least the base. */
  readonly maxEjectionTimeMs: number
  readonly maxEjectionTimeJitterMs: number
  /** Default 10. */
  readonly maxEjectionPercent: number
  readonly alwaysEjectOneHost: boolean
}

/** Why a host was ejected, in the words of Envoy's ejection log. */
export type EjectionReason =
  | 'consecutive-5xx'
  | 'consecutive-gateway-failure'
  | 'consecutive-local-origin-failure'
  | 'success-rate'
  | 'failure-percentage'

/** A failure that no answer of the host tells: what it counts as when local errors are not split from external ones. */
export type LocalOriginFailure = 'timeout' | 'connect-failure' | 'reset'

/** Told of ejections; the host itself belongs to the listener. */
export interface EjectionListener<H> {
  eject(host: H, reason: EjectionReason): void
  uneject(host: H): void
}

/** As Envoy's router reports them: a timeout is a 504; a reset, whoever sent it, is a 503 like a refused connection. */
const statusOfFailure = { timeout: 504, 'connect-failure': 503, reset: 503 } as const

/** What is known of one host. The data path holds it beside the host and reports each attempt to it. */
export class HostMonitor<H> {
  readonly host: H
  readonly #detector: OutlierDetector<H>
  consecutive5xx = 0
  consecutiveGateway = 0
  consecutiveLocalOrigin = 0
  /** Attempts and successes since the last sweep. */
  requests = 0
  successes = 0
  ejectedAt: number | null = null
  unejectedAt: number | null = null
  /** Ejections in a row: grows with each, shrinks with each healthy interval. */
  multiplier = 0
  jitterMs = 0

  constructor(host: H, detector: OutlierDetector<H>) {
    this.host = host
    this.#detector = detector
  }

  get isEjected(): boolean {
    return this.ejectedAt !== null
  }

  /** The host answered. */
  reportResponse(status: number): void {
    this.#count(status)
    if (this.#detector.config.splitExternalLocalOriginErrors) this.consecutiveLocalOrigin = 0
  }

  /** The host did not answer. */
  reportFailure(failure: LocalOriginFailure): void {
    const { config } = this.#detector
    if (!config.splitExternalLocalOriginErrors) {
      this.#count(statusOfFailure[failure])
      return
    }
    if (++this.consecutiveLocalOrigin !== config.consecutiveLocalOriginFailure) return
    this.consecutiveLocalOrigin = 0
    this.#detector.suspect(this, 'consecutive-local-origin-failure', config.enforcingConsecutiveLocalOriginFailure)
  }

  #count(status: number): void {
    const { config } = this.#detector
    this.requests++
    if (status < 500) {
      this.successes++
      this.consecutive5xx = 0
      this.consecutiveGateway = 0
      return
    }
    if (status > 501 && status < 505) {
      if (++this.consecutiveGateway === config.consecutiveGatewayFailure) {
        this.consecutiveGateway = 0
        this.#detector.suspect(this, 'consecutive-gateway-failure', config.enforcingConsecutiveGatewayFailure)
      }
    } else {
      this.consecutiveGateway = 0
    }
    if (++this.consecutive5xx !== config.consecutive5xx) return
    this.consecutive5xx = 0
    this.#detector.suspect(this, 'consecutive-5xx', config.enforcingConsecutive5xx)
  }

  /** Forgets what led to an ejection. */
  reset(): void {
    this.consecutive5xx = 0
    this.consecutiveGateway = 0
    this.consecutiveLocalOrigin = 0
  }
}

/**
 * Takes hosts out of balancing for a while (`envoy.config.cluster.v3.OutlierDetection`). Consecutive failures eject at once; success rate and
 * failure percentage are judged by {@link sweep}, which also brings hosts back: the owner calls it every `intervalMs`. A host may be ejected only
 * while `100 x (ejected + 1) / hosts` is at most `max_ejection_percent`, or nobody is ejected and one always may be: with the default 10 % and
 * fewer than ten hosts nobody ever is (as Envoy 1.40).
 */
export class OutlierDetector<H> {
  readonly config: OutlierDetectionConfig
  readonly #clock: Clock
  readonly #random: Random
  readonly #listener: EjectionListener<H>
  readonly #monitors = new Set<HostMonitor<H>>()
  #ejected = 0

  constructor(config: OutlierDetectionConfig, clock: Clock, random: Random, listener: EjectionListener<H>) {
    this.config = config
    this.#clock = clock
    this.#random = random
    this.#listener = listener
  }

  get ejected(): number {
    return this.#ejected
  }

  /** Watches a host that joined. */
  add(host: H): HostMonitor<H> {
    const monitor = new HostMonitor(host, this)
    this.#monitors.add(monitor)
    return monitor
  }

  /** Forgets a host that left. */
  remove(monitor: HostMonitor<H>): void {
    if (this.#monitors.delete(monitor) && monitor.isEjected) this.#ejected--
  }

  /** A monitor has seen enough. Ejects unless chance (`enforcing`) or the limit forbids it. */
  suspect(monitor: HostMonitor<H>, reason: EjectionReason, enforcingPercent: number): void {
    if (monitor.isEjected || !this.#monitors.has(monitor)) return
    if (!this.#mayEject() || this.#random() * 100 >= enforcingPercent) return
    const { baseEjectionTimeMs, maxEjectionTimeMs, maxEjectionTimeJitterMs } = this.config
    monitor.ejectedAt = this.#clock.now()
    // Bounded, so that a host that was bad for long is not punished for longer than the maximum.
    if (monitor.multiplier * baseEjectionTimeMs < maxEjectionTimeMs + baseEjectionTimeMs) monitor.multiplier++
    monitor.jitterMs = Math.floor(this.#random() * (maxEjectionTimeJitterMs + 1))
    this.#ejected++
    this.#listener.eject(monitor.host, reason)
  }

  /** Ends an interval: brings back those whose time is over and judges rates. */
  sweep(): void {
    const now = this.#clock.now()
    for (const monitor of this.#monitors) this.#checkEjection(monitor, now)
    this.#judgeRates()
    for (const monitor of this.#monitors) {
      if (!monitor.isEjected && monitor.unejectedAt !== null && now - monitor.unejectedAt >= this.config.intervalMs) {
        monitor.multiplier = Math.max(0, monitor.multiplier - 1)
      }
      monitor.requests = 0
      monitor.successes = 0
    }
  }

  #mayEject(): boolean {
    if (this.#ejected === 0 && this.config.alwaysEjectOneHost) return true
    return (100 * (this.#ejected + 1)) / this.#monitors.size <= this.config.maxEjectionPercent
  }

  #checkEjection(monitor: HostMonitor<H>, now: number): void {
    if (monitor.ejectedAt === null) return
    const { baseEjectionTimeMs, maxEjectionTimeMs } = this.config
    const ejectionMs = Math.min(baseEjectionTimeMs * monitor.multiplier, Math.max(baseEjectionTimeMs, maxEjectionTimeMs))
    if (now - monitor.ejectedAt < ejectionMs + monitor.jitterMs) return
    monitor.ejectedAt = null
    monitor.unejectedAt = now
    monitor.reset()
    this.#ejected--
    this.#listener.uneject(monitor.host)
  }

  #judgeRates(): void {
    const { config } = this
    const rated = (volume: number) =>
      [...this.#monitors].filter(({ isEjected, requests }) => !isEjected && requests >= Math.max(1, volume))
    const rate = ({ requests, successes }: HostMonitor<H>) => (100 * successes) / requests

    const bySuccess = rated(config.successRateRequestVolume)
    if (config.enforcingSuccessRate > 0 && bySuccess.length > 0 && bySuccess.length >= config.successRateMinimumHosts) {
      const mean = bySuccess.reduce((sum, monitor) => sum + rate(monitor), 0) / bySuccess.length
      const variance = bySuccess.reduce((sum, monitor) => sum + (rate(monitor) - mean) ** 2, 0) / bySuccess.length
      const threshold = mean - Math.sqrt(variance) * (config.successRateStdevFactor / 1000)
      for (const monitor of bySuccess) {
        if (rate(monitor) < threshold) this.suspect(monitor, 'success-rate', config.enforcingSuccessRate)
      }
    }
    const byFailure = rated(config.failurePercentageRequestVolume)
    if (
      config.enforcingFailurePercentage > 0 &&
      byFailure.length > 0 &&
      byFailure.length >= config.failurePercentageMinimumHosts
    ) {
      for (const monitor of byFailure) {
        if (100 - rate(monitor) < config.failurePercentageThreshold) continue
        this.suspect(monitor, 'failure-percentage', config.enforcingFailurePercentage)
      }
    }
  }
}
