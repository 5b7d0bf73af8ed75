import type { LbEndpoint } from '../discovery/model/endpoint.ts'
import { type CheckAnswer, CheckedHealth, type HealthCheckConfig } from '../policies/health-check.ts'
import { type Runtime, setPatientTimeout, type Timer } from '../runtime.ts'
import type { CheckPacer, PacedCheck } from './check-pacer.ts'
import { type Address, type Endpoint, isReachedOtherwise } from './endpoint.ts'
import type { EndpointChannels } from './grpc/endpoint-channels.ts'
import { checkGrpcHealth } from './grpc/health-check.ts'
import type { ConnectionPools } from './http/connection-pool.ts'
import { checkHttpHealth } from './http/health-check.ts'
import { checkTcpHealth } from './tcp-health-check.ts'
import type { SecureTransport } from './upstream-tls.ts'

/** Makes the connections of checks: apart from those of requests, for which a check would wait, and in time be taken for failed. */
export interface CheckConnections {
  http(target: CheckTarget): ConnectionPools
  grpc(target: CheckTarget): EndpointChannels
}

/** Where an endpoint is checked. */
export interface CheckTarget {
  readonly address: string
  readonly port: number
  readonly alternatives: readonly Address[]
  /** Says how it is connected to. */
  readonly config: LbEndpoint
}

/** What a check brought. */
export interface Verdict {
  /** It was the first of this endpoint. */
  readonly isFirst: boolean
  /** The health is another than before it. */
  readonly hasChanged: boolean
  /** What the check found, in words. */
  readonly reason: string
}

/** What the checks of a cluster need. */
export interface HealthCheckerOptions {
  readonly config: HealthCheckConfig
  /** Name of the cluster. */
  readonly cluster: string
  /** How an endpoint is connected to. */
  readonly tlsOf: (endpoint: LbEndpoint) => SecureTransport | undefined
  readonly runtime: Runtime
  readonly connections: CheckConnections
  /** After which the connections are closed. */
  readonly idleTimeoutMs: number
  /** Of all clusters. */
  readonly pacer: CheckPacer
  /** Whether the cluster was ever called. */
  readonly hasTraffic: () => boolean
  /** `endpoint.failedHealthCheck` is what the verdict says. */
  readonly onVerdict: (endpoint: Endpoint, verdict: Verdict) => void
}

/** What was found of endpoints, by name. */
export type KnownHealth = ReadonlyMap<string, CheckedHealth>

/** Asks the endpoints of a cluster, each at its own pace, whether they are well (`Cluster.health_checks`). */
export class HealthChecker {
  readonly #options: HealthCheckerOptions
  readonly #sessions = new Map<Endpoint, Session>()
  readonly #known: KnownHealth
  #pending = 0

  /** @param known what the cluster before this one found */
  constructor(options: HealthCheckerOptions, known: KnownHealth) {
    const { onVerdict } = options
    this.#options = {
      ...options,
      onVerdict: (endpoint, verdict) => {
        if (verdict.isFirst) this.#pending--
        onVerdict(endpoint, verdict)
      },
    }
    this.#known = known
  }

  /** Endpoints whose first check has not ended. */
  get pending(): number {
    return this.#pending
  }

  /** What was found until now; for whoever takes over. */
  known(): KnownHealth {
    const known = new Map<string, CheckedHealth>()
    for (const [{ name }, { health }] of this.#sessions) known.set(name, health)
    return known
  }

  /**
   * Begins to check what is new and ends what has left, or is exempt (`disable_active_health_check`). An endpoint counts as unhealthy until its
   * first check has succeeded; a known one is what it was. Returns whether the health of an endpoint has changed.
   */
  reconcile(endpoints: Iterable<Endpoint>, removed: readonly Endpoint[]): boolean {
    let hasChanged = false
    for (const endpoint of removed) this.#remove(endpoint)
    for (const endpoint of endpoints) {
      const isChecked = endpoint.config.healthCheck?.isDisabled !== true
      if (isChecked === this.#sessions.has(endpoint)) continue
      hasChanged = true
      if (isChecked) this.#add(endpoint)
      else this.#remove(endpoint)
    }
    return hasChanged
  }

  close(): void {
    for (const session of this.#sessions.values()) session.close()
    this.#sessions.clear()
    this.#pending = 0
  }

  #add(endpoint: Endpoint): void {
    const { config, runtime } = this.#options
    const health = new CheckedHealth(config, this.#known.get(endpoint.name) ?? null)
    if (health.isPending) this.#pending++
    endpoint.failedHealthCheck = health.isUnhealthy
    endpoint.isExcluded = health.isPending && config.ignoresNewHosts
    const session = new Session(endpoint, health, this.#options)
    this.#sessions.set(endpoint, session)
    session.begin(health.firstDelayMs(runtime.random))
  }

  #remove(endpoint: Endpoint): void {
    const session = this.#sessions.get(endpoint)
    if (session === undefined) return
    if (session.health.isPending) this.#pending--
    session.close()
    this.#sessions.delete(endpoint)
    endpoint.failedHealthCheck = false
    endpoint.isExcluded = false
  }
}

/** The checks of one endpoint. */
class Session implements PacedCheck {
  readonly health: CheckedHealth
  readonly #endpoint: Endpoint
  readonly #options: HealthCheckerOptions
  #timer: Timer | null = null
  /** Gives up the check that runs. */
  #cancel: (() => void) | null = null
  #http: ConnectionPools | null = null
  #grpc: EndpointChannels | null = null
  #connectedTo = ''
  #connectedWith: LbEndpoint

  constructor(endpoint: Endpoint, health: CheckedHealth, options: HealthCheckerOptions) {
    this.health = health
    this.#endpoint = endpoint
    this.#connectedWith = endpoint.config
    this.#options = options
  }

  get isConnected(): boolean {
    return this.#http !== null || this.#grpc !== null
  }

  /** Checks after `delayMs`, and from then on until it is closed. Never before this returns. */
  begin(delayMs: number): void {
    const { pacer, runtime } = this.#options
    if (delayMs === 0) pacer.defer(this)
    else this.#timer = runtime.clock.setTimeout(() => pacer.begin(this), delayMs)
  }

  close(): void {
    this.#options.pacer.leave(this)
    this.#timer?.cancel()
    this.#cancel?.()
    this.#disconnect()
  }

  check(): void {
    const { config, runtime } = this.#options
    let isOver = false
    const cancel = () => {
      isOver = true
      giveUp()
    }
    const done = (answer: CheckAnswer) => {
      if (isOver) return
      isOver = true
      this.#timer?.cancel()
      this.#cancel = null
      this.#conclude(answer)
    }
    let giveUp = () => {}
    this.#cancel = cancel
    const onLate = () => {
      giveUp()
      // What hangs must not be what the next check waits for.
      this.#disconnect()
      done({ result: 'failed', reason: 'no answer' })
    }
    this.#timer = setPatientTimeout(runtime.clock, onLate, config.timeoutMs)
    try {
      giveUp = this.#ask(done)
    } catch (error) {
      // A configured name or port that no connection can be made with.
      done({ result: 'failed', reason: error instanceof Error ? error.message : String(error) })
    }
  }

  #conclude({ result, reason }: CheckAnswer): void {
    const { config, runtime, idleTimeoutMs, hasTraffic, onVerdict } = this.#options
    const endpoint = this.#endpoint
    const isFirst = this.health.isPending
    const hasChanged = this.health.report(result)
    endpoint.failedHealthCheck = this.health.isUnhealthy
    endpoint.isExcluded = false
    const delayMs = this.health.nextDelayMs(hasTraffic(), runtime.random)
    // A connection that is closed before it is used again is not worth the memory of its pool.
    if (!config.reusesConnection || delayMs > idleTimeoutMs) this.#disconnect()
    this.begin(delayMs)
    onVerdict(endpoint, { isFirst, hasChanged, reason })
  }

  #ask(done: (answer: CheckAnswer) => void): () => void {
    const { config, tlsOf, connections, cluster } = this.#options
    const { check } = config
    const { hostname: own, config: endpoint } = this.#endpoint
    const name = endpoint.healthCheck?.hostname || (check.kind === 'tcp' ? '' : check.host) || own || cluster
    const target = targetOf(endpoint)
    const tls = tlsOf(endpoint)
    const to = `${target.address} ${target.port}`
    if (to !== this.#connectedTo || isReachedOtherwise(endpoint, this.#connectedWith)) this.#disconnect()
    this.#connectedTo = to
    this.#connectedWith = endpoint
    switch (check.kind) {
      case 'http':
        this.#http ??= connections.http(target)
        return checkHttpHealth(this.#http, tls === undefined ? 'http' : 'https', name, check, done)
      case 'grpc':
        this.#grpc ??= connections.grpc(target)
        return checkGrpcHealth(this.#grpc, name, check, done)
      case 'tcp':
        return checkTcpHealth({ address: target.address, port: target.port, tls, hostname: name }, check, done)
    }
  }

  #disconnect(): void {
    void this.#http?.destroy(new Error('the health check has ended'))
    this.#grpc?.drain()
    this.#http = null
    this.#grpc = null
  }
}

function targetOf(endpoint: LbEndpoint): CheckTarget {
  const { address, port, additionalAddresses, healthCheck } = endpoint
  if (healthCheck === undefined || (healthCheck.address === '' && healthCheck.port === 0))
    return { address, port, alternatives: additionalAddresses, config: endpoint }
  return { address: healthCheck.address || address, port: healthCheck.port || port, alternatives: [], config: endpoint }
}
