import type { ClusterConfig } from '../discovery/model/cluster.ts'
import type { ClusterLoadAssignment, LbEndpoint } from '../discovery/model/endpoint.ts'
import { MeshError, type MeshErrorCode } from '../errors.ts'
import { CircuitBreaker } from '../policies/circuit-breaker.ts'
import { dropCategory } from '../policies/drop-overload.ts'
import type { ErrorRateBreaker } from '../policies/error-rate-breaker.ts'
import { balance } from '../policies/load-balancing/balancer.ts'
import type { ClientSideWeightedRoundRobin } from '../policies/load-balancing/config.ts'
import { loadHash64 } from '../policies/load-balancing/hash64.ts'
import { isDegraded, isHealthy } from '../policies/load-balancing/host.ts'
import { HostWeight } from '../policies/load-balancing/host-weight.ts'
import { emptyPicker, type PickContext, type Picker } from '../policies/load-balancing/picker.ts'
import { pickOther } from '../policies/load-balancing/previous-hosts.ts'
import type { LoadReport } from '../policies/load-report.ts'
import { type LocalOriginFailure, OutlierDetector } from '../policies/outlier-detection.ts'
import { TokenRetryBudget, type TokenRetryBudgetOptions } from '../policies/retry-budget.ts'
import type { Runtime, Timer } from '../runtime.ts'
import type { ResponseFlag } from '../telemetry/response-flag.ts'
import type { ClusterCounters } from './cluster-counters.ts'
import type { ClusterManager } from './cluster-manager.ts'
import { channels } from './diagnostics.ts'
import { type DnsLookup, DnsResolver } from './dns-resolver.ts'
import { Endpoint, type EndpointConnections, isReachedOtherwise } from './endpoint.ts'
import { EndpointChannels } from './grpc/endpoint-channels.ts'
import { LoadReportStream } from './grpc/load-report-stream.ts'
import { type CheckTarget, HealthChecker, type KnownHealth, type Verdict } from './health-checker.ts'
import { HostSet } from './host-set.ts'
import { ConnectionPools, idleTimeoutOf } from './http/connection-pool.ts'
import type { LoadStats } from './load-stats.ts'
import type { EjectionEvent, HealthEvent } from './mesh-events.ts'
import { PendingLimit, PendingQueue } from './pending-queue.ts'
import type { SecureTransport, UpstreamSecurity } from './upstream-tls.ts'

/** What every cluster needs from outside. */
export interface ClusterEnvironment {
  readonly runtime: Runtime
  readonly lookup: DnsLookup
  readonly security: UpstreamSecurity
  /** Makes the breaker that opens a cluster whose error rate is too high; `undefined`: none does. */
  readonly errorRateBreaker?: () => ErrorRateBreaker
  /** Limits the retries of a cluster by the number of its requests, beside the limits of its configuration; `undefined`: nothing does. */
  readonly retryBudget?: TokenRetryBudgetOptions
  /** Counts what is reported to the control plane; `undefined`: there is none to report to. */
  readonly loads?: LoadStats
  /** Told of ejections. */
  readonly onEvent?: (event: EjectionEvent) => void
  /** Told of what active health checks find. */
  readonly onHealth?: (event: HealthEvent) => void
}

/** Requests that wait for DNS in one cluster. */
const maxResolving = 1000

/** Picks to spend on an endpoint that is not known to be unreachable, before all are looked through. */
const maxUnreachablePicks = 10
/** The same where the next pick is the next of an order that all calls, or all of one hash, are to keep to (gRFC A42, A62). */
const maxUnreachableInOrder = 256

/** How many endpoints are worth a millisecond without a new picker. */
const endpointsPerRefreshMs = 500

const nothingKnown: KnownHealth = new Map()

/**
 * A cluster at run time: its endpoints, its balancer, its breakers and what it knows of each endpoint's health. It lives as long as its
 * configuration; a changed one makes a new cluster, which takes over the connections of the endpoints that stay.
 */
export class Cluster {
  readonly name: string
  readonly config: ClusterConfig
  readonly #environment: ClusterEnvironment
  readonly #manager: ClusterManager
  readonly #hosts: HostSet
  readonly #connectionKey: string
  readonly #default: CircuitBreaker
  readonly #high: CircuitBreaker
  readonly #dns: DnsResolver | null
  readonly errorRate: ErrorRateBreaker | null
  readonly retryTokens: TokenRetryBudget | null
  /** Its balancer looks at the hash of a request. */
  readonly isHashing: boolean
  /** How its endpoints are weighed by the load that they report; `null`: they are not. */
  readonly weighing: ClientSideWeightedRoundRobin | null
  /** Whether the reports that come with answers count. */
  readonly readsLoadReports: boolean
  /** `null`: its load is not reported. */
  readonly #load: ClusterCounters | null
  readonly #outliers: OutlierDetector<Endpoint> | null
  #sweep: Timer | null = null
  #picker: Picker<Endpoint> = emptyPicker
  /** Health has changed since the picker was made. */
  #isPickerStale = false
  /** Requests that wait for the first answer of DNS, or for the first endpoint that a check finds healthy. */
  readonly resolving: PendingQueue | null
  /** Its endpoints are known, be they none; and if they are checked, one can be used, or each was asked. */
  isResolved = false
  /** When the endpoints last changed, on the monotonic clock. */
  #updatedAt = 0
  #isHashLoaded = false
  /** What came before the hash function did. */
  #latest: ClusterLoadAssignment | null = null
  #isDrained = false
  readonly #checker: HealthChecker | null
  #wasCalled = false
  /** When the picker takes in who has become healthy. */
  #refreshTimer: Timer | null = null

  /** @param previous the cluster of the same name that this one takes the place of */
  constructor(
    config: ClusterConfig,
    assignment: ClusterLoadAssignment,
    environment: ClusterEnvironment,
    manager: ClusterManager,
    previous: Cluster | null,
  ) {
    this.name = config.name
    this.config = config
    this.#environment = environment
    this.#manager = manager
    this.#connectionKey = JSON.stringify([
      config.tls,
      config.tlsMatches,
      config.http,
      config.connectTimeoutMs,
      config.circuitBreakers.default.maxConnections,
    ])
    const { discovery, circuitBreakers } = config
    // What is under way counts for as long as it is, whatever the configuration becomes meanwhile (gRFC A32).
    const counted = previous !== null && isSameService(previous.config, config) ? previous : null
    this.#default = counted === null ? new CircuitBreaker(circuitBreakers.default) : counted.#default
    this.#high = counted === null ? new CircuitBreaker(circuitBreakers.high) : counted.#high
    this.#default.update(circuitBreakers.default)
    this.#high.update(circuitBreakers.high)
    const isDns = discovery.kind === 'strict-dns' || discovery.kind === 'logical-dns'
    // Before the connections are handed over, which ends the checks.
    let known = nothingKnown
    if (previous !== null) {
      this.#wasCalled = previous.#wasCalled
      if (previous.#checker !== null) known = previous.#checker.known()
    }
    const kept = !isDns && previous !== null && previous.#connectionKey === this.#connectionKey ? previous.#handOver() : null
    const { clock, random } = environment.runtime
    const { errorRateBreaker, retryBudget } = environment
    this.errorRate = errorRateBreaker === undefined ? null : errorRateBreaker()
    this.retryTokens = retryBudget === undefined ? null : new TokenRetryBudget(clock, retryBudget)
    this.isHashing = config.loadBalancing.kind === 'ring-hash' || config.loadBalancing.kind === 'maglev'
    this.weighing = config.loadBalancing.kind === 'client-side-weighted-round-robin' ? config.loadBalancing : null
    this.#load = environment.loads?.open(config) ?? null
    const passesOn = this.#load !== null && config.loadReporting !== undefined && config.loadReporting.metrics.length > 0
    this.readsLoadReports = this.weighing?.oobReportingPeriodMs === 0 || passesOn
    const { outlierDetection } = config
    this.#outliers =
      outlierDetection === undefined
        ? null
        : new OutlierDetector(outlierDetection, clock, random, {
            eject: (endpoint, reason) => this.#setEjected(endpoint, true, reason),
            uneject: endpoint => this.#setEjected(endpoint, false, ''),
          })
    const { healthCheck } = config
    this.#checker =
      healthCheck === undefined
        ? null
        : new HealthChecker(
            {
              config: healthCheck,
              cluster: config.name,
              tlsOf: endpoint => this.#tlsOf(endpoint),
              runtime: environment.runtime,
              connections: {
                http: target => this.#connect(target, 1),
                grpc: target => new EndpointChannels({ ...target, tls: this.#tlsOf(target.config) }),
              },
              idleTimeoutMs: idleTimeoutOf(config.http),
              pacer: manager.checks,
              hasTraffic: () => this.#wasCalled,
              onVerdict: (endpoint, verdict) => this.#judge(endpoint, verdict),
            },
            known,
          )
    const connections: EndpointConnections = {
      http: endpoint => this.#connect(endpoint, config.circuitBreakers.default.maxConnections),
      grpc: endpoint => this.#makeChannels(endpoint),
    }
    this.#hosts = new HostSet((endpointConfig, locality, priority) => {
      const endpoint = new Endpoint(endpointConfig, locality, priority, this.#updatedAt, connections)
      if (this.weighing !== null) endpoint.reportedWeight = new HostWeight()
      const before = kept?.get(endpoint.name)
      if (before !== undefined && !isReachedOtherwise(before.config, endpointConfig)) {
        endpoint.adopt(before)
        // What is left in the end belongs to endpoints that are no more, or are reached in another way.
        kept?.delete(endpoint.name)
      }
      return endpoint
    })
    const mayWait = isDns || this.isHashing || this.#checker !== null
    this.resolving = mayWait ? new PendingQueue(environment.runtime.clock, new PendingLimit(maxResolving)) : null
    this.#dns = isDns
      ? new DnsResolver(discovery, environment.runtime, environment.lookup, resolved => this.update(resolved))
      : null
    if (this.isHashing) void this.#loadHash(isDns ? null : assignment)
    else if (!isDns) this.update(assignment)
    if (kept !== null) for (const endpoint of kept.values()) void endpoint.drain()
  }

  /** The hash function comes before the first pick; requests wait for it. */
  async #loadHash(assignment: ClusterLoadAssignment | null): Promise<void> {
    await loadHash64()
    this.#isHashLoaded = true
    const latest = this.#latest ?? assignment
    if (latest !== null) this.update(latest)
  }

  /** Takes over new endpoints; those that left finish what they have in flight. */
  update(assignment: ClusterLoadAssignment): void {
    if (this.isHashing && !this.#isHashLoaded) {
      this.#latest = assignment
      return
    }
    this.#updatedAt = this.#environment.runtime.clock.now()
    const { changed, added, removed } = this.#hosts.apply(assignment)
    if (this.#outliers !== null) {
      for (const endpoint of added) endpoint.monitor = this.#outliers.add(endpoint)
      for (const { monitor } of removed) if (monitor !== null) this.#outliers.remove(monitor)
      if (this.#sweep === null && this.#hosts.size > 0) this.#scheduleSweep(this.#outliers)
    }
    if (changed) this.#load?.assign(this.#hosts.endpoints())
    const isOtherwiseHealthy = this.#checker?.reconcile(this.#hosts.endpoints(), removed) === true
    if (changed || isOtherwiseHealthy) this.#rebalance()
    for (const endpoint of removed) void endpoint.drain()
    if (this.#checker === null || this.#checker.pending === 0 || this.isUsable()) this.#resolve()
    else this.isResolved = false
  }

  #resolve(): void {
    this.isResolved = true
    this.resolving?.release()
  }

  /** Whether an endpoint is there that is neither unhealthy nor ejected, and none of those that could not be connected. */
  isUsable(unreachable: readonly Endpoint[] | null = null): boolean {
    for (const endpoint of this.#hosts.endpoints()) {
      if ((isHealthy(endpoint) || isDegraded(endpoint)) && unreachable?.includes(endpoint) !== true) return true
    }
    return false
  }

  /**
   * The cluster that answers for this one: itself, or for an aggregate the first of its clusters that is usable, else the first there is (gRFC
   * A37). `null`: an aggregate of clusters that do not exist.
   *
   * @param unreachable endpoints that could not be connected
   */
  leaf(unreachable: readonly Endpoint[] | null = null): Cluster | null {
    const { discovery } = this.config
    if (discovery.kind !== 'aggregate') return this
    let first: Cluster | null = null
    for (const name of discovery.clusters) {
      const leaf = this.#manager.handle(name).cluster?.leaf(unreachable) ?? null
      if (leaf?.isUsable(unreachable) === true) return leaf
      first ??= leaf
    }
    return first
  }

  /** The breaker of a priority. */
  breaker(priority: 'default' | 'high'): CircuitBreaker {
    return priority === 'high' ? this.#high : this.#default
  }

  /**
   * Lets an attempt in, or says why not. What it took is given back by the exchange, through the breaker.
   *
   * @param isPassedOn it takes the place of one that was let in, and that no server has read: it is not dropped by chance again
   */
  admit(context: PickContext & { readonly attempts: number }, breaker: CircuitBreaker, isPassedOn = false): MeshError | null {
    this.#wasCalled = true
    const { assignment } = this.#hosts
    if (assignment !== null && assignment.dropOverloads.length > 0 && !isPassedOn) {
      const category = dropCategory(assignment.dropOverloads, context.random)
      if (category !== null) return this.#drop('MESH_ERR_OVERFLOW', `dropped by ${category}`, context.attempts, category)
    }
    if (!breaker.tryAcquireRequest()) return this.#drop('MESH_ERR_OVERFLOW', 'too many requests', context.attempts)
    if (breaker.tryAcquirePending()) return null
    breaker.releaseRequest()
    return this.#drop('MESH_ERR_OVERFLOW', 'too many pending requests', context.attempts)
  }

  /**
   * The endpoint of the next attempt, or `null` when there is none to send to.
   *
   * @param previous endpoints to avoid (`previous_hosts`): another is looked for `maxAttempts` times, and then the last found is taken
   */
  pick(context: PickContext, previous: readonly Endpoint[] | null, maxAttempts: number): Endpoint | null {
    if (this.#isPickerStale) this.#rebalance()
    return previous === null ? this.#picker.pick(context, 0) : pickOther(this.#picker, context, previous, maxAttempts)
  }

  /**
   * The endpoint that a session names, or `null` when it is not to be used.
   *
   * @param address `address:port`; IPv6 in brackets
   */
  override(address: string): Endpoint | null {
    const colon = address.lastIndexOf(':')
    const host = address.slice(0, colon)
    const endpoint = this.#hosts.find(host.startsWith('[') ? host.slice(1, -1) : host, Number(address.slice(colon + 1)))
    if (endpoint === undefined) return null
    const { health, ejected, failedHealthCheck } = endpoint
    const status = (health === 'unknown' || health === 'healthy') && (ejected || failedHealthCheck) ? 'unhealthy' : health
    return this.config.overrideHostStatuses.includes(status) ? endpoint : null
  }

  /**
   * An endpoint beside those that could not be connected: the balancer's choice, else one of the first priority that has any left (gRFC A56).
   * `null` when there is none.
   */
  pickReachable(context: PickContext, unreachable: readonly Endpoint[]): Endpoint | null {
    const isOrdered = this.isHashing || this.config.loadBalancing.kind === 'pick-first'
    const picked = this.pick(context, unreachable, isOrdered ? maxUnreachableInOrder : maxUnreachablePicks)
    if (picked === null || !unreachable.includes(picked)) return picked
    for (const { localities } of this.#hosts.priorities) {
      const left = localities.flatMap(({ hosts }) => hosts.filter(host => isHealthy(host) && !unreachable.includes(host)))
      const { hash, random } = context
      const at =
        hash !== null && this.isHashing ? Number(hash % BigInt(Math.max(1, left.length))) : Math.floor(random() * left.length)
      const host = left[at]
      if (host !== undefined) return host
    }
    return null
  }

  /** An endpoint answered. */
  reportResponse(endpoint: Endpoint, statusCode: number): void {
    if (endpoint.monitor !== null) endpoint.monitor.reportResponse(statusCode)
  }

  /** An endpoint did not answer. */
  reportFailure(endpoint: Endpoint, failure: LocalOriginFailure): void {
    if (endpoint.monitor !== null) endpoint.monitor.reportFailure(failure)
  }

  /** An endpoint reported its load with an answer; `null` reports nothing. Only such reports are passed on (gRFC A64). */
  reportLoad(endpoint: Endpoint, report: LoadReport | null): void {
    if (report === null) return
    if (this.weighing?.oobReportingPeriodMs === 0) this.#weigh(endpoint, report)
    if (this.config.loadReporting !== undefined) endpoint.load?.addReport(report, this.config.loadReporting.metrics)
  }

  #weigh(endpoint: Endpoint, report: LoadReport): void {
    if (this.weighing !== null) endpoint.reportedWeight?.update(report, this.weighing, this.#environment.runtime.clock.now())
  }

  /** The error of a request that there is no endpoint for. */
  noEndpoint(attempts: number): MeshError {
    const why = this.#hosts.size === 0 ? 'it has no endpoints' : `none of its ${this.#hosts.size} endpoints is healthy`
    return this.#refusal('MESH_ERR_NO_ENDPOINT', `no healthy upstream: ${why}`, 'UH', attempts)
  }

  /** The error of a request while the error rate is too high. */
  circuitOpen(attempts: number): MeshError {
    return this.#drop('MESH_ERR_CIRCUIT_OPEN', 'its error rate is too high', attempts)
  }

  /** Endpoints, health and load, for people. */
  endpoints(): IterableIterator<Endpoint> {
    return this.#hosts.endpoints()
  }

  get hostSet(): HostSet {
    return this.#hosts
  }

  /** Nothing refers to it any more: its connections end once what is in flight is done. */
  async drain(): Promise<void> {
    if (this.#isDrained) return
    this.#isDrained = true
    this.#load?.release()
    this.#dns?.close()
    this.#endChecks()
    this.#sweep?.cancel()
    await Promise.all(Array.from(this.#hosts.endpoints(), endpoint => endpoint.drain()))
  }

  #rebalance(): void {
    const { loadBalancing, commonLb } = this.config
    const { assignment, priorities } = this.#hosts
    this.#isPickerStale = false
    this.#picker = balance(priorities, {
      loadBalancing,
      common: commonLb,
      overprovisioningFactor: assignment?.overprovisioningFactor ?? 140,
      random: this.#environment.runtime.random,
      clock: this.#environment.runtime.clock,
    })
  }

  #judge(endpoint: Endpoint, { isFirst, hasChanged, reason }: Verdict): void {
    const isHealthy = !endpoint.failedHealthCheck
    if (hasChanged || (isFirst && this.config.healthCheck?.ignoresNewHosts === true)) this.#refresh(isHealthy)
    if (!this.isResolved && (isHealthy || this.#checker?.pending === 0)) this.#resolve()
    // That a new endpoint is well is no news.
    if (isFirst ? isHealthy : !hasChanged) return
    const event: HealthEvent = { cluster: this.name, endpoint: endpoint.name, isHealthy, reason }
    if (channels.health.hasSubscribers) channels.health.publish(event)
    this.#environment.onHealth?.(event)
  }

  /**
   * A picker is made anew in time proportional to the number of endpoints. While many are found healthy one after the other, it is not made
   * for each; what makes traffic go wrong is not put off.
   */
  #refresh(canWait: boolean): void {
    const delayMs = this.#hosts.size / endpointsPerRefreshMs
    if (!canWait || !this.isResolved || delayMs < 1) this.#isPickerStale = true
    if (this.#isPickerStale) return
    this.#refreshTimer ??= this.#environment.runtime.clock.setTimeout(() => {
      this.#refreshTimer = null
      this.#isPickerStale = true
    }, delayMs)
  }

  /** Nobody will be told any more whether an endpoint is well: what waits for it takes what there is. */
  #endChecks(): void {
    if (this.#checker === null) return
    this.#checker.close()
    this.#refreshTimer?.cancel()
    if (this.#hosts.assignment !== null) this.#resolve()
  }

  #setEjected(endpoint: Endpoint, isEjected: boolean, reason: string): void {
    endpoint.ejected = isEjected
    // Not at once: many may follow in the same turn.
    this.#isPickerStale = true
    const kind = isEjected ? 'eject' : 'uneject'
    const event: EjectionEvent = { kind, cluster: this.name, endpoint: endpoint.name, reason }
    if (channels[kind].hasSubscribers) channels[kind].publish(event)
    this.#environment.onEvent?.(event)
  }

  #scheduleSweep(outliers: OutlierDetector<Endpoint>): void {
    this.#sweep = this.#environment.runtime.clock.setTimeout(() => {
      outliers.sweep()
      this.#scheduleSweep(outliers)
    }, outliers.config.intervalMs)
  }

  /** @param category by which it is dropped; default: none, by a circuit breaker */
  #drop(code: MeshErrorCode, reason: string, attempts: number, category: string | null = null): MeshError {
    this.#load?.drop(category)
    return this.#refusal(code, reason, 'UO', attempts)
  }

  #refusal(code: MeshErrorCode, reason: string, flag: ResponseFlag, attempts: number): MeshError {
    return new MeshError(code, `cluster ${this.name}: ${reason}`, { flag, statusCode: 503, cluster: this.name, attempts })
  }

  #tlsOf(endpoint: LbEndpoint): SecureTransport | undefined {
    const { tls, tlsMatches } = this.config
    return this.#environment.security.choose(tls, tlsMatches, endpoint)
  }

  /** New connections for an endpoint. */
  #connect({ address, port, alternatives, config }: CheckTarget, maxConnections: number): ConnectionPools {
    const { http, connectTimeoutMs } = this.config
    const tls = this.#tlsOf(config)
    const { clock } = this.#environment.runtime
    return new ConnectionPools({ address, port, alternatives, connectTimeoutMs, maxConnections, tls, http, clock })
  }

  /** New channels for an endpoint; where its load is asked for out of band, the first of them also carries the reports. */
  #makeChannels(endpoint: Endpoint): EndpointChannels {
    const { address, port, alternatives } = endpoint
    const { weighing } = this
    const options = { address, port, alternatives, tls: this.#tlsOf(endpoint.config) }
    if (weighing === null) return new EndpointChannels(options)
    const weighed = { ...options, onConnected: () => endpoint.reportedWeight?.reset() }
    if (weighing.oobReportingPeriodMs === 0) return new EndpointChannels(weighed)
    const { runtime } = this.#environment
    const onReport = (report: LoadReport) => this.#weigh(endpoint, report)
    return new EndpointChannels({
      ...weighed,
      beside: channel => new LoadReportStream({ channel, periodMs: weighing.oobReportingPeriodMs, runtime, onReport }),
    })
  }

  /** Its endpoints that have connections, by name; those are now of the cluster that takes its place. */
  #handOver(): Map<string, Endpoint> {
    const kept = new Map<string, Endpoint>()
    for (const endpoint of this.#hosts.endpoints()) if (endpoint.used !== null) kept.set(endpoint.name, endpoint)
    this.#isDrained = true
    this.#load?.release()
    this.#endChecks()
    this.#sweep?.cancel()
    return kept
  }
}

/** Whether two configurations of a cluster are of the same endpoints. */
function isSameService({ discovery: one }: ClusterConfig, { discovery: other }: ClusterConfig): boolean {
  return one.kind === 'eds' && other.kind === 'eds' ? one.edsServiceName === other.edsServiceName : one.kind === other.kind
}
