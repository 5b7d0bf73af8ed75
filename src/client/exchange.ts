import { MeshError } from '../errors.ts'
import type { CircuitBreaker } from '../policies/circuit-breaker.ts'
import type { BreakerOutcome, BreakerPass } from '../policies/error-rate-breaker.ts'
import { loadReportOf } from '../policies/load-report.ts'
import { isMirrored } from '../policies/mirror.ts'
import type { AnswerHeaders, AttemptFailure, CompiledRetryPolicy } from '../policies/retry.ts'
import type { ResponseFlag } from '../telemetry/response-flag.ts'
import type { Cluster } from './cluster.ts'
import { channels } from './diagnostics.ts'
import type { Endpoint } from './endpoint.ts'
import { attemptError, originOf, timeoutError } from './exchange-error.ts'
import { type LocalReply, replyFor } from './local-reply.ts'
import type { LocalityCounters } from './locality-counters.ts'
import type { MirroredRequest, RouteMirror } from './mirror.ts'
import { type ParkedAttempt, releaseParked } from './parked-attempt.ts'
import { RetryState } from './retry-state.ts'
import type { RoutePlan } from './route-plan.ts'
import { RoutedExchange } from './routed-exchange.ts'

/**
 * One request from the caller's point of view, whatever it takes: match, admit, pick, attempt, outcome, commit or retry, finish. Here is only
 * the sequence, from the first attempt on ({@link RoutedExchange} comes before); every decision is a call into a policy. A transport extends it
 * and sends the attempts.
 */
export abstract class Exchange extends RoutedExchange {
  #breaker: CircuitBreaker | null = null
  #retry: RetryState | null = null
  #pass: BreakerPass | null = null
  /** Counts the running attempt, if anything does. */
  #load: LocalityCounters | null = null
  #isPending = false
  #isOnEndpoint = false
  #usedFreeRetry = false
  #isPassedOn = false
  /** Endpoints that could not be reached, and why the last of them could not. */
  #unreachable: Endpoint[] | null = null
  #unreachableError: Error | null = null
  /** Attempts beside the running one; see {@link ParkedAttempt}. */
  #parked: ParkedAttempt[] | null = null

  /** Attempts that the retry policy made; what no server can have read is made again beside them. */
  get retries(): number {
    return this.#retry === null ? 0 : this.#retry.granted
  }

  /** Begins attempt {@link epoch} on {@link endpoint}. */
  protected abstract send(endpoint: Endpoint): void
  /** Sends a copy of the request, as soon as it is whole. */
  protected abstract mirror(mirrored: MirroredRequest): void
  /** Gives up the running attempt: what it still says is late. */
  protected abstract abandon(reason: Error): void
  /** Whether the running attempt has the whole request, so that it can be parked. */
  protected abstract isSentWhole(): boolean
  /** Takes what it knows of the running attempt aside. */
  protected abstract park(): unknown
  /** Goes on with a parked attempt as the running one. */
  protected abstract unpark(held: unknown): void
  /** Gives up a parked attempt; `null`: it has ended by itself. */
  protected abstract dropParked(held: unknown, reason: Error | null): void
  /** Whether the same request can be sent once more. */
  protected abstract canReplay(): boolean
  /** The same after an attempt of which a server has read nothing: what was not sent by it need not have been kept for another. */
  protected canResend(): boolean {
    return this.canReplay()
  }
  /** Hands an answer of the mesh itself to the caller. Called at most once, and then nothing else is. */
  protected abstract deliverReply(reply: LocalReply): void
  /** Hands the final error to the caller. Called at most once. */
  protected abstract deliverError(error: Error): void
  /** The caller holds the answer back. */
  protected abstract isPaused(): boolean
  /** The caller is about to get one of these in place of an answer, and telemetry is told of it first. */
  protected ending(_reply: LocalReply | null, _error: Error | null): void {}
  /** Lets go of the body. Called once, before the caller is told of the end. */
  protected abstract release(): void

  protected attempt(): void {
    if (this.#unreachable !== null) this.#leaveUnreachable(this.#unreachable)
    const { cluster } = this
    const plan = this.plan
    if (cluster === null || plan === null) return
    this.phase = 'trying'
    const breaker = cluster.breaker(plan.priority)
    const refusal = cluster.admit(this, breaker, this.#isPassedOn)
    this.#isPassedOn = false
    if (refusal !== null) {
      this.#giveUp(refusal)
      return
    }
    this.#breaker = breaker
    this.#isPending = true
    if (cluster.errorRate !== null) {
      const pass = cluster.errorRate.tryPass()
      if (pass === null) {
        this.#giveUp(cluster.circuitOpen(this.attempts))
        return
      }
      this.#pass = pass
    }
    const endpoint = this.#pick(cluster, plan)
    if (endpoint === null) {
      this.#nobodyThere(this.#unreachableError ?? cluster.noEndpoint(this.attempts))
      return
    }
    this.endpoint = endpoint
    endpoint.activeRequests++
    this.#isOnEndpoint = true
    if (endpoint.load !== null) {
      this.#load = endpoint.load
      this.#load.begin()
    }
    this.epoch = ++this.attempts
    if (this.span !== null) this.span.attempt(this.attempts, endpoint.name)
    if (channels.requestAttempt.hasSubscribers) channels.requestAttempt.publish({ exchange: this })
    if (this.attempts === 1 && plan.mirrors !== null) this.#mirror(plan.mirrors)
    this.send(endpoint)
  }

  #nobodyThere(error: Error): void {
    if (this.#parked !== null || !this.waitsForReady()) {
      this.#giveUp(error)
      return
    }
    this.#endAttempt()
    this.#unreachable = null
    this.lookAgain(error, () => this.#attemptAnew())
  }

  /** The configuration may have changed: the name decides, and an endpoint that has left is not picked again. */
  #attemptAnew(): void {
    this.cluster = this.choice?.attachment?.cluster() ?? this.cluster
    this.attempt()
  }

  /** Of an aggregate, the next cluster serves when nobody can be reached in this one. */
  #leaveUnreachable(unreachable: readonly Endpoint[]): void {
    const chosen = this.choice?.attachment
    const cluster = chosen?.cluster(unreachable) ?? null
    if (chosen === undefined || cluster === null || cluster === this.cluster || !cluster.isUsable(unreachable)) return
    this.cluster = cluster
    this.series = chosen.series(this.target, cluster)
  }

  /** Once, however often the request itself is retried. */
  #mirror(mirrors: readonly RouteMirror[]): void {
    for (const mirror of mirrors) {
      if (!isMirrored(mirror.policy, this.random())) continue
      const mirrored = mirror.begin(this)
      if (mirrored !== null) this.mirror(mirrored)
    }
  }

  #pick(cluster: Cluster, { retry }: RoutePlan): Endpoint | null {
    const session = this.choice?.attachment?.session ?? null
    // Every attempt of a gRPC call keeps its session (gRFC A55); over HTTP the first does and others are balanced, as in Envoy.
    if (session !== null && (this.isGrpc || this.attempts === 0)) {
      if (this.attempts === 0) this.sessionTarget = session.target(this, this.environment.clock.wallNow())
      const endpoint = this.sessionTarget === null ? null : cluster.override(this.sessionTarget.address)
      const isReachable = endpoint !== null && this.#unreachable?.includes(endpoint) !== true
      if (isReachable) return endpoint
      if (this.sessionTarget !== null && session.config.isStrict) return null
    }
    if (this.#unreachable !== null) return cluster.pickReachable(this, this.#unreachable)
    return cluster.pick(
      this,
      this.#retry === null ? null : this.#retry.previous,
      retry === null ? 0 : retry.config.hostSelectionMaxAttempts,
    )
  }

  /** The transport has the attempt on a connection: it no longer queues, and the per-try time runs unless the request is still to end. */
  protected attemptSent(): void {
    this.#leavePending()
    if (this.isWholeRequest()) this.#startTryTime()
  }

  /**
   * The end of a request that was not whole from the start: the route's time and that of its attempt begin, as in Envoy
   * (`Filter::onRequestComplete`). To be called once, when {@link isWholeRequest} has turned true.
   */
  protected requestEnded(): void {
    const { plan } = this
    if (plan === null) return
    if (this.phase === 'trying' && this.epoch !== 0 && !this.#isPending) this.#startTryTime()
    const { timeoutMs } = this.timeouts(plan)
    if (timeoutMs === 0) return
    this.limit(this.environment.clock.now() + timeoutMs, 'UT')
    this.arm()
  }

  #startTryTime(): void {
    const perTryTimeoutMs = this.plan === null ? 0 : this.plan.perTryTimeoutMs
    if (perTryTimeoutMs !== 0) this.limitTry(this.environment.clock.now() + perTryTimeoutMs)
  }

  /**
   * Response headers have come. Returns whether the attempt is to be discarded, because another one will follow; otherwise the answer is the
   * caller's, and there is no retry from here on.
   *
   * @param health the HTTP status by which the endpoint is judged, where that is another one
   * @param reason what telemetry calls it when it is retried
   */
  protected responseStarted(
    statusCode: number,
    headers: AnswerHeaders,
    health: number = statusCode,
    reason: string = String(statusCode),
  ): boolean {
    const retry = this.plan === null ? null : this.plan.retry
    this.judge(health)
    this.#leavePending()
    const { cluster, endpoint } = this
    // The report of a gRPC call comes with its status, and the call has read it there.
    if (cluster !== null && endpoint !== null && cluster.readsLoadReports && !this.isGrpc)
      cluster.reportLoad(
        endpoint,
        loadReportOf(name => firstOf(headers[name])),
      )
    if (retry?.retriesResponse(statusCode, headers) === true) {
      if (this.#reserveRetry(retry)) {
        this.#endAttempt()
        this.#backOff(this.isGrpc ? 0 : statusCode, reason, headers)
        return true
      }
      if (this.#parked !== null) {
        this.#endAttempt()
        return true
      }
    }
    this.commit(statusCode)
    return false
  }

  /** The answer is the caller's from here on, though nothing is known yet of how it will end. */
  protected commit(statusCode: number): void {
    this.#leavePending()
    if (this.#parked !== null) this.#dropAllParked(superseded)
    this.phase = 'committed'
    this.statusCode = statusCode
    this.limitTry(0)
  }

  /** The endpoint has shown how well it is, as an HTTP status. */
  protected judge(health: number): void {
    const { cluster, endpoint } = this
    if (cluster !== null && endpoint !== null) cluster.reportResponse(endpoint, health)
    if (this.#pass !== null) this.#record(health < 500 ? 'success' : 'failure')
  }

  /** The answer is complete. */
  protected responseEnded(): void {
    if (this.#load !== null) this.#endLoad(this.#load, this.isGrpc ? this.grpcStatus === 0 : this.statusCode < 500)
    this.#finish(null)
  }

  /**
   * The running attempt ended without an answer, or in the middle of one.
   *
   * @param free whether the server cannot have read the request, so that another attempt is made at once, outside all counts: `once`, or
   *   `elsewhere` for as long as there is an endpoint that was not tried
   * @param grpcStatus what it is to a gRPC caller
   */
  protected attemptFailed(failure: AttemptFailure, cause: Error, free: 'no' | 'once' | 'elsewhere', grpcStatus?: number): void {
    const { cluster, endpoint } = this
    const retry = this.plan === null ? null : this.plan.retry
    const hadAnswer = this.phase === 'committed'
    if (cluster === null || endpoint === null) {
      this.fail(cause)
      return
    }
    if (free === 'once' && !hadAnswer && !this.#usedFreeRetry && this.canResend()) {
      this.#usedFreeRetry = true
      this.#passOn()
      return
    }
    cluster.reportFailure(endpoint, originOf(failure))
    if (this.#pass !== null) this.#record('failure')
    if (free === 'elsewhere' && !hadAnswer && this.canResend()) {
      this.#unreachable ??= []
      this.#unreachable.push(endpoint)
      this.#unreachableError = attemptError(this, failure, cause)
      this.#passOn()
      return
    }
    if (!hadAnswer && retry?.retriesFailure(failure, grpcStatus) === true && this.#reserveRetry(retry)) {
      this.#endAttempt()
      this.#backOff(0, failure, null)
      return
    }
    if (hadAnswer) this.fail(attemptError(this, failure, cause))
    else this.#giveUp(attemptError(this, failure, cause))
  }

  /** No server has read the running attempt: another one takes its place. */
  #passOn(): void {
    this.#endAttempt()
    this.#isPassedOn = true
    this.attempt()
  }

  /** Nothing more comes of the running attempt: an error, unless another one is still to be answered. */
  #giveUp(error: Error): void {
    if (this.#parked === null) this.fail(error)
    else this.#endAttempt()
  }

  /**
   * An attempt that is not the running one has been answered, or has failed. Returns whether it is the running one from now on: when its
   * answer is good, or no other is to be waited for. Else it is over.
   */
  protected takesOver(attempt: number, isGood: boolean): boolean {
    const at = this.#parked?.findIndex(({ number }) => number === attempt) ?? -1
    const parked = this.#parked?.[at]
    if (this.#parked === null || parked === undefined) return false
    this.#parked.splice(at, 1)
    if (this.#parked.length === 0) this.#parked = null
    if (!isGood && (this.epoch !== 0 || this.backoff !== null || this.#parked !== null)) {
      releaseParked(parked)
      this.dropParked(parked.held, null)
      return false
    }
    this.backoff?.cancel()
    this.backoff = null
    if (this.epoch !== 0) this.abandon(superseded)
    if (this.#breaker !== null) this.#endAttempt()
    this.phase = 'trying'
    this.epoch = parked.number
    this.cluster = parked.cluster
    this.endpoint = parked.endpoint
    this.#isOnEndpoint = true
    this.#breaker = parked.breaker
    this.#load = parked.load
    this.unpark(parked.held)
    return true
  }

  /** The running attempt goes on beside another one, if the policies allow that; else by itself. */
  #hedge(): void {
    const { cluster, endpoint } = this
    const retry = this.plan === null ? null : this.plan.retry
    if (cluster === null || endpoint === null || this.#breaker === null) return
    // It may yet be answered, but not in time.
    cluster.reportFailure(endpoint, 'timeout')
    if (this.#pass !== null) this.#record('failure')
    const breaker = this.#breaker
    if (retry === null || !this.#reserveRetry(retry)) return
    const load = this.#load
    this.#parked ??= []
    this.#parked.push({ number: this.epoch, cluster, endpoint, breaker, load, held: this.park() })
    this.epoch = 0
    this.#breaker = null
    this.#load = null
    this.#isOnEndpoint = false
    this.#backOff(0, 'per-try-timeout', null)
  }

  #dropAllParked(reason: Error): void {
    const parked = this.#parked ?? []
    this.#parked = null
    for (const each of parked) {
      releaseParked(each)
      this.dropParked(each.held, reason)
    }
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
    this.ending(reply, this.error)
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
    this.ending(null, error)
    this.#finish(error)
    this.deliverError(error)
  }

  protected onDeadline(flag: ResponseFlag): void {
    const { cluster, endpoint } = this
    if (cluster !== null && endpoint !== null && this.phase === 'trying') cluster.reportFailure(endpoint, 'timeout')
    if (this.#pass !== null) this.#record('failure')
    this.flag = flag
    const afterMs = Math.round(this.environment.clock.now() - this.startedAt)
    const waited = this.unready === null ? '' : `, waiting for what is not there: ${this.unready.message}`
    const error = timeoutError(this, flag, this.isWholeRequest(), `upstream request timeout after ${afterMs} ms${waited}`)
    this.#stop(error)
    this.fail(error)
  }

  #record(outcome: BreakerOutcome): void {
    if (this.#pass !== null) this.cluster?.errorRate?.record(this.#pass, outcome)
    this.#pass = null
  }

  protected onTryDeadline(): void {
    if (this.plan?.isHedging === true && this.isSentWhole()) {
      this.#hedge()
      return
    }
    const error = new Error(`no answer within ${this.plan?.perTryTimeoutMs ?? 0} ms`)
    this.abandon(error)
    this.attemptFailed('per-try-timeout', error, 'no')
  }

  protected isHeldBack(): boolean {
    return this.isPaused() || (this.phase !== 'trying' && this.phase !== 'committed')
  }

  protected onIdle(idleMs: number): void {
    const { cluster, endpoint } = this
    if (cluster !== null && endpoint !== null && this.phase === 'trying') cluster.reportFailure(endpoint, 'timeout')
    if (this.#pass !== null) this.#record('failure')
    this.flag = 'SI'
    const error = timeoutError(this, 'SI', this.isWholeRequest(), `silent for ${Math.round(idleMs)} ms`)
    this.#stop(error)
    this.fail(error)
  }

  /** Ends whatever runs: an attempt, a wait for configuration, a backoff. */
  #stop(reason: Error): void {
    this.ticket?.cancel()
    this.backoff?.cancel()
    if (this.epoch !== 0) this.abandon(reason)
  }

  /** Whether another attempt is allowed; if so it is paid for. A flag tells why not. */
  #reserveRetry(retry: CompiledRetryPolicy): boolean {
    if (this.cluster === null || this.#breaker === null) return false
    if (retry.config.numRetries === 0 || !this.canReplay() || !retry.allowsRequest(this)) return false
    this.#retry ??= new RetryState(retry)
    const forbidden = this.#retry.reserve(this.#breaker, this.cluster)
    if (forbidden === '') return true
    this.flag = forbidden
    return false
  }

  #backOff(statusCode: number, reason: string, headers: AnswerHeaders | null): void {
    const { clock, random } = this.environment
    const delayMs = this.#retry === null ? 0 : this.#retry.delayMs(headers, clock, random)
    if (this.span !== null) this.span.retry(this.attempts, statusCode, reason, delayMs)
    if (channels.requestRetry.hasSubscribers) channels.requestRetry.publish({ exchange: this, reason, delayMs })
    if (this.endpoint !== null) this.#retry?.leave(this.endpoint)
    this.phase = 'backoff'
    this.backoff = clock.setTimeout(
      () => {
        this.backoff = null
        this.#attemptAnew()
      },
      delayMs,
      true,
    )
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
    // An attempt that another follows has failed, and so has one that nobody waits for any more.
    if (this.#load !== null) this.#endLoad(this.#load, false)
    this.limitTry(0)
  }

  #endLoad(load: LocalityCounters, isSuccess: boolean): void {
    load.end(isSuccess)
    this.#load = null
  }

  #leavePending(): void {
    if (!this.#isPending) return
    this.#isPending = false
    this.#breaker?.releasePending()
  }

  #finish(error: Error | null): void {
    this.phase = 'finished'
    const { clock, telemetry } = this.environment
    this.durationMs = clock.now() - this.startedAt
    if (error !== null) this.error = error
    if (this.#breaker !== null) this.#endAttempt()
    this.epoch = 0
    if (this.#parked !== null) this.#dropAllParked(superseded)
    if (this.#retry !== null) this.#retry.release()
    this.endFault()
    this.disarm()
    this.release()
    const series = this.series ?? this.target.series(this.route)
    telemetry.finish(series, this, this.span)
    if (channels.requestEnd.hasSubscribers) channels.requestEnd.publish({ exchange: this })
  }
}

/** Why an attempt is given up that is not waited for any more. */
const superseded = new Error('another attempt was answered first')

function firstOf(values: string | readonly string[] | undefined): string | undefined {
  return typeof values === 'object' ? values[0] : values
}
