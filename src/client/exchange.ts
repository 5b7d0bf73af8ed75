import { MeshError } from '../errors.ts'
import { backOffMs, rateLimitedBackOffMs } from '../policies/back-off.ts'
import type { CircuitBreaker } from '../policies/circuit-breaker.ts'
import type { BreakerOutcome, BreakerPass } from '../policies/error-rate-breaker.ts'
import type { CompiledFault } from '../policies/fault.ts'
import type { LocalOriginFailure } from '../policies/outlier-detection.ts'
import type { AnswerHeaders, AttemptFailure, CompiledRetryPolicy } from '../policies/retry.ts'
import { normalizePath } from '../security/path-normalization.ts'
import type { ResponseFlag } from '../telemetry/response-flag.ts'
import type { CallSeries } from '../telemetry/telemetry.ts'
import { attemptError } from './attempt-error.ts'
import type { Cluster } from './cluster.ts'
import { channels } from './diagnostics.ts'
import type { Endpoint } from './endpoint.ts'
import type { ExchangeRecord } from './exchange-record.ts'
import { type LocalReply, localReply, replyFor } from './local-reply.ts'
import type { PendingQueue, PendingTicket, Waiter } from './pending-queue.ts'
import type { MatchedRoute, RoutePlan } from './route-plan.ts'
import { TimedExchange } from './timed-exchange.ts'

/**
 * One request from the caller's point of view, whatever it takes: match, admit, pick, attempt, outcome, commit or retry, finish. Here is only
 * the sequence; every decision is a call into a policy. A transport extends it and makes attempts.
 */
export abstract class Exchange extends TimedExchange implements Waiter {
  #breaker: CircuitBreaker | null = null
  #retryBreaker: CircuitBreaker | null = null
  #pass: BreakerPass | null = null
  #isPending = false
  #isOnEndpoint = false
  #series: CallSeries | null = null
  #ticket: PendingTicket | null = null
  #backoff: { cancel(): void } | null = null
  #retriesLeft = 0
  #usedFreeRetry = false
  #previous: Endpoint[] | null = null
  #runsRouteTime = false
  /** A delay that has begun. */
  #fault: CompiledFault | null = null

  /** Begins attempt {@link epoch} on {@link endpoint}. */
  protected abstract send(endpoint: Endpoint): void
  /** Sends the request past the mesh, as attempt 1 without a cluster. Returns false when that is not allowed. */
  protected abstract passThrough(): boolean
  /** Gives up the running attempt: what it still says is late. */
  protected abstract abandon(reason: Error): void
  /** Whether the same request can be sent once more. */
  protected abstract canReplay(): boolean
  /** Whether the request is all there already, so that its time runs from the start. */
  protected abstract isWholeRequest(): boolean
  /** Hands an answer of the mesh itself to the caller. Called at most once, and then nothing else is. */
  protected abstract deliverReply(reply: LocalReply): void
  /** Hands the final error to the caller. Called at most once. */
  protected abstract deliverError(error: Error): void
  /** The caller holds the answer back. */
  protected abstract isPaused(): boolean
  /** Lets go of the body. Called once, before the caller is told of the end. */
  protected abstract release(): void

  /** Runs it. */
  start(): void {
    const { clock, telemetry } = this.environment
    this.startedAt = clock.now()
    this.span = telemetry.startSpan(this)
    if (channels.requestStart.hasSubscribers) channels.requestStart.publish({ exchange: this })
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
    this.fail(failure)
  }

  #wait(queue: PendingQueue): void {
    this.phase = 'waiting'
    this.#ticket = queue.enter(this, this.environment.configTimeoutMs)
    if (this.#ticket !== null) return
    const message = `${this.#waitsFor}: too many requests wait for it`
    this.fail(new MeshError('MESH_ERR_OVERFLOW', message, { flag: 'UO', statusCode: 503 }))
  }

  get #waitsFor(): string {
    return this.cluster === null ? `host ${this.target.authority}` : `cluster ${this.cluster.name}`
  }

  onReady(): void {
    this.#ticket = null
    if (this.phase !== 'waiting') return
    if (this.cluster !== null) this.#hashAndAttempt()
    else if (this.target.router !== null) this.#match()
    else if (this.target.failure !== null) this.#refuse(this.target.failure)
  }

  onTimeout(): void {
    this.#ticket = null
    if (this.phase !== 'waiting') return
    const message = `${this.#waitsFor}: not resolved within ${this.environment.configTimeoutMs} ms`
    this.fail(new MeshError('MESH_ERR_CONFIG_TIMEOUT', message, { flag: 'NFCF', statusCode: 503 }))
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
    const choice = action.forward.pickTarget(this, random())
    const plan = route.attachment
    if (choice === null || choice.attachment === undefined || plan === undefined) {
      this.fail(notFound('(none named)', action.forward.config.clusterNotFoundStatus))
      return
    }
    this.choice = choice
    this.plan = plan
    const cluster = choice.attachment.cluster()
    if (cluster === null) {
      this.fail(choice.attachment.missing(action.forward.config.clusterNotFoundStatus))
      return
    }
    this.cluster = cluster
    this.#series = choice.attachment.series(this.target, cluster)
    const { fault } = choice.attachment
    if (fault?.appliesTo(this, cluster.name) === true) this.#inject(fault, cluster, plan)
    else this.#admit(cluster, plan)
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
    this.#backoff = clock.setTimeout(() => {
      this.#backoff = null
      this.#abortOrAdmit(fault, cluster, plan)
    }, delayMs)
    this.#fault = fault
  }

  #abortOrAdmit(fault: CompiledFault, cluster: Cluster, plan: RoutePlan): void {
    const abort = fault.abort(this, this.environment.random, this.#fault !== null)
    if (abort === null) {
      this.#endFault()
      this.#admit(cluster, plan)
      return
    }
    this.#fault = fault
    this.flag = 'FI'
    const headers = abort.grpcStatus === undefined ? {} : { 'grpc-status': String(abort.grpcStatus) }
    this.answer(localReply(abort.httpStatus, 'fault filter abort', headers))
  }

  #endFault(): void {
    this.#fault?.end()
    this.#fault = null
  }

  #admit(cluster: Cluster, plan: RoutePlan): void {
    const idleMs = plan.idleTimeoutMs === 0 ? this.environment.idleTimeoutMs : plan.idleTimeoutMs
    this.watchIdle(idleMs, this.startedAt)
    if (cluster.retryTokens !== null) cluster.retryTokens.deposit()
    this.#retriesLeft = plan.retry === null ? 0 : plan.retry.config.numRetries
    if (plan.maxDurationMs !== 0) this.limit(this.startedAt + plan.maxDurationMs, 'DT')
    if (plan.timeoutMs !== 0 && this.isWholeRequest()) {
      this.#runsRouteTime = true
      const begunAt = this.flag === 'DI' ? this.environment.clock.now() : this.startedAt
      this.limit(begunAt + plan.timeoutMs, 'UT')
    }
    this.arm()
    if (cluster.isResolved || cluster.resolving === null) this.#hashAndAttempt()
    else this.#wait(cluster.resolving)
  }

  #hashAndAttempt(): void {
    const hashPolicy = this.plan === null ? null : this.plan.hashPolicy
    if (hashPolicy !== null && this.cluster?.isHashing === true) this.hash = hashPolicy.hash(this, this.random)
    this.#attempt()
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

  #attempt(): void {
    const { cluster } = this
    const plan = this.plan
    if (cluster === null || plan === null) return
    this.phase = 'trying'
    const breaker = cluster.breaker(plan.priority)
    const refusal = cluster.admit(this, breaker)
    if (refusal !== null) {
      this.fail(refusal)
      return
    }
    this.#breaker = breaker
    this.#isPending = true
    if (cluster.errorRate !== null) {
      const pass = cluster.errorRate.tryPass()
      if (pass === null) {
        this.fail(cluster.circuitOpen(this.attempts))
        return
      }
      this.#pass = pass
    }
    const endpoint = cluster.pick(this, this.#previous, plan.retry === null ? 0 : plan.retry.config.hostSelectionMaxAttempts)
    if (endpoint === null) {
      this.fail(cluster.noEndpoint(this.attempts))
      return
    }
    this.endpoint = endpoint
    endpoint.activeRequests++
    this.#isOnEndpoint = true
    this.epoch = ++this.attempts
    if (this.span !== null) this.span.attempt(this.attempts, endpoint.name)
    if (channels.requestAttempt.hasSubscribers) channels.requestAttempt.publish({ exchange: this })
    this.send(endpoint)
  }

  /** The transport has the attempt on a connection: it no longer queues, and the per-try time runs. */
  protected attemptSent(): void {
    this.#leavePending()
    const perTryTimeoutMs = this.plan === null ? 0 : this.plan.perTryTimeoutMs
    if (perTryTimeoutMs === 0) return
    this.limitTry(this.environment.clock.now() + perTryTimeoutMs)
  }

  /** The whole request has been sent: the route's time runs from now, unless it did from the start. */
  protected requestSent(): void {
    if (this.plan === null || this.plan.timeoutMs === 0 || this.#runsRouteTime) return
    this.#runsRouteTime = true
    this.limit(this.environment.clock.now() + this.plan.timeoutMs, 'UT')
    this.arm()
  }

  /**
   * Response headers have come. Returns whether the attempt is to be discarded, because another one will follow; otherwise the answer is the
   * caller's, and there is no retry from here on.
   */
  protected responseStarted(statusCode: number, headers: AnswerHeaders): boolean {
    const { cluster, endpoint } = this
    const retry = this.plan === null ? null : this.plan.retry
    if (cluster !== null && endpoint !== null) cluster.reportResponse(endpoint, statusCode)
    if (this.#pass !== null) this.#record(statusCode < 500 ? 'success' : 'failure')
    this.#leavePending()
    if (retry?.retriesResponse(statusCode, headers) === true && this.#reserveRetry(retry)) {
      this.#endAttempt()
      this.#backOff(retry, statusCode, String(statusCode), headers)
      return true
    }
    this.phase = 'committed'
    this.statusCode = statusCode
    this.limitTry(0)
    return false
  }

  /** The answer is complete. */
  protected responseEnded(): void {
    this.#finish(null)
  }

  /**
   * The running attempt ended without an answer, or in the middle of one.
   *
   * @param isFree the server cannot have read the request, and the endpoint is not to blame: another attempt is made at once, outside all counts
   */
  protected attemptFailed(failure: AttemptFailure, cause: Error, isFree: boolean): void {
    const { cluster, endpoint } = this
    const retry = this.plan === null ? null : this.plan.retry
    const hadAnswer = this.phase === 'committed'
    if (cluster === null || endpoint === null) {
      this.fail(cause)
      return
    }
    if (isFree && !hadAnswer && !this.#usedFreeRetry && this.canReplay()) {
      this.#usedFreeRetry = true
      this.#endAttempt()
      this.#attempt()
      return
    }
    cluster.reportFailure(endpoint, originOf(failure))
    if (this.#pass !== null) this.#record('failure')
    if (!hadAnswer && retry?.retriesFailure(failure) === true && this.#reserveRetry(retry)) {
      this.#endAttempt()
      this.#backOff(retry, 0, failure, null)
      return
    }
    this.fail(attemptError(failure, cluster.name, endpoint.name, this.attempts, cause))
  }

  /** The caller gives up. The error it gets is its own reason. */
  protected abortedByCaller(reason: Error): void {
    if (this.phase === 'finished') return
    this.flag = 'DC'
    this.#stop(reason)
    this.fail(reason)
  }

  /** Ends the exchange with an answer of the mesh's own. */
  protected answer(reply: LocalReply): void {
    this.statusCode = reply.status
    this.responseBytes = reply.body.length
    this.#finish(null)
    this.deliverReply(reply)
  }

  /** Ends the exchange with an error: the caller's, or one of the mesh's own, which may become a reply. */
  protected fail(error: Error): void {
    if (this.phase === 'finished') return
    const hadAnswer = this.phase === 'committed'
    if (error instanceof MeshError) {
      if (this.flag === '') this.flag = error.flag
      const reply = this.environment.localReplies && !hadAnswer ? replyFor(error) : null
      if (reply !== null) {
        this.error = error
        this.answer(reply)
        return
      }
    }
    this.#finish(error)
    this.deliverError(error)
  }

  protected onDeadline(flag: ResponseFlag): void {
    const { cluster, endpoint } = this
    if (cluster !== null && endpoint !== null && this.phase === 'trying') cluster.reportFailure(endpoint, 'timeout')
    if (this.#pass !== null) this.#record('failure')
    this.flag = flag
    const afterMs = Math.round(this.environment.clock.now() - this.startedAt)
    const error = timeoutError(this, `upstream request timeout after ${afterMs} ms`)
    this.#stop(error)
    this.fail(error)
  }

  #record(outcome: BreakerOutcome): void {
    if (this.#pass !== null) this.cluster?.errorRate?.record(this.#pass, outcome)
    this.#pass = null
  }

  protected onTryDeadline(): void {
    const error = new Error(`no answer within ${this.plan?.perTryTimeoutMs ?? 0} ms`)
    this.abandon(error)
    this.attemptFailed('per-try-timeout', error, false)
  }

  protected isHeldBack(): boolean {
    return this.isPaused() || (this.phase !== 'trying' && this.phase !== 'committed')
  }

  protected onIdle(idleMs: number): void {
    const { cluster, endpoint } = this
    if (cluster !== null && endpoint !== null && this.phase === 'trying') cluster.reportFailure(endpoint, 'timeout')
    if (this.#pass !== null) this.#record('failure')
    this.flag = 'SI'
    const error = timeoutError(this, `silent for ${Math.round(idleMs)} ms`)
    this.#stop(error)
    this.fail(error)
  }

  /** Ends whatever runs: an attempt, a wait for configuration, a backoff. */
  #stop(reason: Error): void {
    this.#ticket?.cancel()
    this.#backoff?.cancel()
    if (this.epoch !== 0) this.abandon(reason)
  }

  /** Whether another attempt is allowed; takes it from the count and the budget. A flag tells why not. */
  #reserveRetry(retry: CompiledRetryPolicy): boolean {
    if (!this.canReplay() || !retry.allowsRequest(this)) return false
    if (this.#retriesLeft <= 0) {
      if (retry.config.numRetries > 0) this.flag = 'URX'
      return false
    }
    this.#retriesLeft--
    this.#releaseRetry()
    const breaker = this.#breaker
    if (breaker === null || !breaker.tryAcquireRetry()) {
      this.flag = 'UO'
      return false
    }
    this.#retryBreaker = breaker
    if (this.cluster?.retryTokens?.tryWithdraw() === false) {
      this.#releaseRetry()
      this.flag = 'UO'
      return false
    }
    return true
  }

  #backOff(retry: CompiledRetryPolicy, statusCode: number, reason: string, headers: AnswerHeaders | null): void {
    const delayMs = this.#backOffMs(retry, headers)
    if (this.span !== null) this.span.retry(this.attempts, statusCode, reason, delayMs)
    if (channels.requestRetry.hasSubscribers) channels.requestRetry.publish({ exchange: this, reason, delayMs })
    if (retry.config.avoidPreviousHosts && this.endpoint !== null) {
      this.#previous ??= []
      this.#previous.push(this.endpoint)
    }
    this.phase = 'backoff'
    this.#backoff = this.environment.clock.setTimeout(() => {
      this.#backoff = null
      // The configuration may have changed: the name decides, and an endpoint that has left is not picked again.
      this.cluster = this.choice?.attachment?.cluster() ?? this.cluster
      this.#attempt()
    }, delayMs)
  }

  #backOffMs(retry: CompiledRetryPolicy, headers: AnswerHeaders | null): number {
    const { random, clock } = this.environment
    const { backOff, rateLimitedBackOff } = retry.config
    if (headers !== null && rateLimitedBackOff !== undefined) {
      const asked = rateLimitedBackOffMs(rateLimitedBackOff, headers, clock.wallNow(), random)
      if (asked !== undefined) return asked
    }
    return backOffMs(backOff, retry.config.numRetries - this.#retriesLeft, random)
  }

  /** Gives back what the running attempt holds. */
  #endAttempt(): void {
    this.epoch = 0
    this.#leavePending()
    if (this.#pass !== null) this.#record('cancelled')
    this.#breaker?.releaseRequest()
    this.#breaker = null
    if (this.#isOnEndpoint && this.endpoint !== null) this.endpoint.activeRequests--
    this.#isOnEndpoint = false
    this.limitTry(0)
  }

  #leavePending(): void {
    if (!this.#isPending) return
    this.#isPending = false
    this.#breaker?.releasePending()
  }

  #releaseRetry(): void {
    this.#retryBreaker?.releaseRetry()
    this.#retryBreaker = null
  }

  #finish(error: Error | null): void {
    this.phase = 'finished'
    const { clock, telemetry } = this.environment
    this.durationMs = clock.now() - this.startedAt
    if (error !== null) this.error = error
    if (this.#breaker !== null) this.#endAttempt()
    this.epoch = 0
    this.#releaseRetry()
    this.#endFault()
    this.disarm()
    this.release()
    const series = this.#series ?? this.target.series(this.route)
    telemetry.finish(series, this, this.span)
    if (channels.requestEnd.hasSubscribers) channels.requestEnd.publish({ exchange: this })
  }
}

function notFound(cluster: string, statusCode: number): MeshError {
  return new MeshError('MESH_ERR_CLUSTER_NOT_FOUND', `cluster ${cluster}: not found`, { flag: 'NC', statusCode, cluster })
}

function timeoutError({ clusterName, endpointAddress, attempts, flag }: ExchangeRecord, reason: string): MeshError {
  const where = endpointAddress === '' ? `cluster ${clusterName}` : `cluster ${clusterName}: endpoint ${endpointAddress}`
  const details = { flag, statusCode: 504, attempts, cluster: clusterName, endpoint: endpointAddress }
  return new MeshError('MESH_ERR_DEADLINE', `${where}: ${reason}`, details)
}

/** What a failure means for outlier detection. */
function originOf(failure: AttemptFailure): LocalOriginFailure {
  if (failure === 'connect-failure') return 'connect-failure'
  return failure === 'per-try-timeout' ? 'timeout' : 'reset'
}
