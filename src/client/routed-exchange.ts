import { MeshError } from '../errors.ts'
import { backOffMs, readinessBackOff } from '../policies/back-off.ts'
import type { CompiledFault } from '../policies/fault.ts'
import type { Timer } from '../runtime.ts'
import { normalizePath } from '../security/path-normalization.ts'
import type { CallSeries } from '../telemetry/telemetry.ts'
import type { Cluster } from './cluster.ts'
import { channels } from './diagnostics.ts'
import { noClusterError } from './exchange-error.ts'
import type { ExchangeEnvironment } from './exchange-record.ts'
import { type LocalReply, localReply } from './local-reply.ts'
import type { PendingQueue, PendingTicket, Waiter } from './pending-queue.ts'
import type { ChosenCluster, MatchedRoute, MeshForward, RoutePlan, RouteTimeouts } from './route-plan.ts'
import type { Target } from './target.ts'
import { TimedExchange } from './timed-exchange.ts'

/**
 * The way of a request to its cluster: wait for configuration, match, choose, inject faults. What it finds on the way may end it; else
 * {@link attempt} takes over.
 */
export abstract class RoutedExchange extends TimedExchange implements Waiter {
  /** Where it is counted; `null` while no cluster is chosen. */
  protected series: CallSeries | null
  /** Its place among those that wait for configuration. */
  protected ticket: PendingTicket | null
  /** What ends a wait of its own: a delay that was injected, the backoff before a retry, or the time to {@link lookAgain}. */
  protected backoff: Timer | null
  /** Why it has to {@link lookAgain}. */
  protected unready: Error | null
  #looks: number
  #fault: CompiledFault | null

  constructor(environment: ExchangeEnvironment, target: Target, authority: string, scheme: string, method: string, path: string) {
    super(environment, target, authority, scheme, method, path)
    this.series = null
    this.ticket = null
    this.backoff = null
    this.unready = null
    this.#looks = 0
    this.#fault = null
  }

  /** Makes an attempt on {@link cluster}. */
  protected abstract attempt(): void
  /** Ends the exchange with an answer of the mesh's own. */
  protected abstract answer(reply: LocalReply): void
  /** Ends the exchange with an error. */
  protected abstract fail(error: Error): void
  /** Sends the request past the mesh, as attempt 1 without a cluster. Returns false when that is not allowed. */
  protected abstract passThrough(): boolean
  /** Whether the request is all there, so that its time runs. */
  protected abstract isWholeRequest(): boolean
  /** The times that hold for the transport's kind of request; each 0 when it is off. */
  protected abstract timeouts(plan: RoutePlan): RouteTimeouts

  /** Whether the caller would rather wait, until its deadline, than hear that there is nobody to call. */
  protected waitsForReady(): boolean {
    return false
  }

  /** When the request that it is made for has to be answered; see {@link ExchangeRecord.requestDeadlineAt}. */
  protected deadlineOfRequest(): number {
    return this.environment.telemetry.deadlineAt()
  }

  /** Runs it. */
  protected run(): void {
    const { clock, telemetry } = this.environment
    this.startedAt = clock.now()
    this.span = telemetry.startSpan(this)
    this.requestDeadlineAt = this.deadlineOfRequest()
    if (channels.requestStart.hasSubscribers) channels.requestStart.publish({ exchange: this })
    if (this.requestDeadlineAt !== 0) this.#limitToRequest(this.requestDeadlineAt)
    if (this.phase !== 'finished') this.#begin()
  }

  /** Nobody waits for what comes after the answer to the request that it is made for. */
  #limitToRequest(deadlineAt: number): void {
    this.limit(deadlineAt, 'UT')
    if (deadlineAt > this.startedAt) this.arm()
    else this.onDeadline('UT')
  }

  #begin(): void {
    if (this.target.router !== null) {
      this.#match()
    } else if (this.target.failure !== null) {
      this.#refuse(this.target.failure)
    } else {
      this.#wait(this.target.pending)
    }
  }

  /** There is no configuration: an error, unless what the mesh does not know may go past it. */
  #refuse(failure: MeshError): void {
    if (failure.code === 'MESH_ERR_UNKNOWN_HOST' && this.passThrough()) return
    if (this.waitsForReady() && failure.code !== 'MESH_ERR_CLOSED') this.lookAgain(failure, () => this.#begin())
    else this.fail(failure)
  }

  /** There is nobody to call for now: goes on with `look` after a while. */
  protected lookAgain(reason: Error, look: () => void): void {
    const { clock, random } = this.environment
    this.unready = reason
    this.phase = 'backoff'
    this.backoff = clock.setTimeout(
      () => {
        this.backoff = null
        look()
      },
      backOffMs(readinessBackOff, ++this.#looks, random),
      true,
    )
  }

  #wait(queue: PendingQueue): void {
    this.phase = 'waiting'
    this.ticket = queue.enter(this, this.environment.configTimeoutMs)
    if (this.ticket !== null) return
    const message = `${this.#waitsFor}: too many requests wait for it`
    this.fail(new MeshError('MESH_ERR_OVERFLOW', message, { flag: 'UO', statusCode: 503 }))
  }

  get #waitsFor(): string {
    return this.cluster === null ? `host ${this.target.authority}` : `cluster ${this.cluster.name}`
  }

  onReady(): void {
    this.ticket = null
    if (this.phase !== 'waiting') return
    if (this.cluster !== null) this.#hash()
    else if (this.target.router !== null) this.#match()
    else if (this.target.failure !== null) this.#refuse(this.target.failure)
  }

  onTimeout(): void {
    this.ticket = null
    if (this.phase !== 'waiting') return
    const message = `${this.#waitsFor}: not resolved within ${this.environment.configTimeoutMs} ms`
    const error = new MeshError('MESH_ERR_CONFIG_TIMEOUT', message, { flag: 'NFCF', statusCode: 503 })
    if (!this.waitsForReady()) this.fail(error)
    else if (this.cluster === null) this.lookAgain(error, () => this.#begin())
    else this.lookAgain(error, () => this.#hash())
  }

  #match(): void {
    const { random } = this.environment
    const { listener } = this.target
    if (listener?.normalizePath === true) {
      const path = normalizePath(this.path, listener.mergeSlashes)
      if (path === null) {
        this.answer(localReply(400, '', {}))
        return
      }
      this.path = path
    }
    const route = this.target.router?.match(this, random()) ?? null
    this.route = route
    if (route === null) {
      this.fail(this.target.noRoute(this))
      return
    }
    const { action } = route
    if (action.kind !== 'forward') {
      this.#answer(route)
      return
    }
    const choice = this.#sessionTarget(action.forward) ?? action.forward.pickTarget(this, random())
    const plan = route.attachment
    if (choice === null || choice.attachment === undefined || plan === undefined) {
      this.fail(noClusterError(action.forward.config.clusterNotFoundStatus))
      return
    }
    this.choice = choice
    this.plan = plan
    const cluster = choice.attachment.cluster()
    if (cluster === null) {
      const missing = choice.attachment.missing(action.forward.config.clusterNotFoundStatus)
      if (this.waitsForReady()) this.lookAgain(missing, () => this.#match())
      else this.fail(missing)
      return
    }
    this.cluster = cluster
    this.series = choice.attachment.series(this.target, cluster)
    const { fault } = choice.attachment
    if (fault?.appliesTo(this, cluster.name) === true) this.#inject(fault, cluster, plan)
    else this.#admit(cluster, plan)
  }

  /** The cluster of a split that the caller's session names (gRFC A60). */
  #sessionTarget({ targets }: MeshForward): ChosenCluster | null {
    if (targets.length < 2) return null
    for (const target of targets) {
      const session = target.attachment?.session ?? null
      if (session?.target(this, this.environment.clock.wallNow())?.cluster === target.clusterName) return target
    }
    return null
  }

  /** Holds the request back, then answers in place of the upstream, as the fault filter decides; before the route and outside its timeout. */
  #inject(fault: CompiledFault, cluster: Cluster, plan: RoutePlan): void {
    const { clock, random } = this.environment
    const delayMs = fault.delayMs(this, random)
    if (delayMs === 0) {
      this.#abortOrAdmit(fault, cluster, plan)
      return
    }
    this.flag = 'DI'
    this.phase = 'backoff'
    this.backoff = clock.setTimeout(
      () => {
        this.backoff = null
        this.#abortOrAdmit(fault, cluster, plan)
      },
      delayMs,
      true,
    )
    this.#fault = fault
  }

  #abortOrAdmit(fault: CompiledFault, cluster: Cluster, plan: RoutePlan): void {
    const abort = fault.abort(this, this.environment.random, this.#fault !== null)
    if (abort === null) {
      this.endFault()
      this.#admit(cluster, plan)
      return
    }
    this.#fault = fault
    this.flag = 'FI'
    const headers = abort.grpcStatus === undefined ? {} : { 'grpc-status': String(abort.grpcStatus) }
    this.answer(localReply(abort.httpStatus, 'fault filter abort', headers))
  }

  /** The fault that was injected, if one was, is over. */
  protected endFault(): void {
    this.#fault?.end()
    this.#fault = null
  }

  #admit(cluster: Cluster, plan: RoutePlan): void {
    const { timeoutMs, maxDurationMs, idleTimeoutMs } = this.timeouts(plan)
    const idleMs = idleTimeoutMs === 0 ? this.environment.idleTimeoutMs : idleTimeoutMs
    this.watchIdle(idleMs === Number.POSITIVE_INFINITY ? 0 : idleMs, this.startedAt)
    if (cluster.retryTokens !== null) cluster.retryTokens.deposit()
    if (maxDurationMs !== 0) this.limit(this.startedAt + maxDurationMs, 'DT')
    if (timeoutMs !== 0 && this.isWholeRequest()) {
      const begunAt = this.flag === 'DI' ? this.environment.clock.now() : this.startedAt
      this.limit(begunAt + timeoutMs, 'UT')
    }
    this.arm()
    if (cluster.isResolved || cluster.resolving === null) this.#hash()
    else this.#wait(cluster.resolving)
  }

  #hash(): void {
    const hashPolicy = this.plan === null ? null : this.plan.hashPolicy
    if (hashPolicy !== null && this.cluster?.isHashing === true) this.hash = hashPolicy.hash(this, this.random)
    this.attempt()
  }

  #answer(route: MatchedRoute): void {
    const { action } = route
    switch (action.kind) {
      case 'redirect':
        this.answer(localReply(action.redirect.status, '', { location: action.redirect.location(this) }))
        return
      case 'direct-response': {
        const { status, body } = action.directResponse
        const location = action.directResponse.location(this)
        this.answer(localReply(status, body, location === undefined ? {} : { location }))
        return
      }
      default:
        this.fail(this.target.noRoute(this))
        return
    }
  }
}
