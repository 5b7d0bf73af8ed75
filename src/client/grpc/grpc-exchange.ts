import type { CallCredentials, ChannelInterface, Deadline, InterceptingListener, Metadata, StatusObject } from '@grpc/grpc-js'
import { loadReportOf } from '../../policies/load-report.ts'
import { mirrorAuthority } from '../../policies/mirror.ts'
import { grpcStatusName } from '../../telemetry/rpc-conventions.ts'
import { mutateAnswer } from '../answer-headers.ts'
import type { Endpoint } from '../endpoint.ts'
import { Exchange } from '../exchange.ts'
import type { ExchangeEnvironment } from '../exchange-record.ts'
import type { LocalReply } from '../local-reply.ts'
import type { MirroredRequest } from '../mirror.ts'
import type { RoutePlan, RouteTimeouts } from '../route-plan.ts'
import type { Target } from '../target.ts'
import { type AttemptMetadata, attemptMetadata, previousAttempts } from './attempt-metadata.ts'
import { CallStatusError, connectionStatus, failureOf, isOwn, localStatus, statusOfError, statusOfReply } from './call-status.ts'
import type { ConnectionWaiter } from './connection-wait.ts'
import type { ChannelProfile } from './endpoint-channel.ts'
import { grpcCode, httpStatusOf } from './grpc-code.ts'
import { grpcJs } from './grpc-js.ts'
import { type MessageContext, MessageReplay, type OutgoingMessage, settle } from './message-replay.ts'
import { joinMetadata, MetadataHeaders } from './metadata-headers.ts'

/** grpc-js's call, whose interface it does not export by name. */
export type Call = ReturnType<ChannelInterface['createCall']>
type ParentCall = Parameters<ChannelInterface['createCall']>[3]
type AuthContext = ReturnType<Call['getAuthContext']>

/** How a client asked for a call. */
export interface CallRequest {
  /** `/package.Service/Method` */
  readonly method: string
  /** The `:authority` of this call alone, which no route rewrites (gRFC A81). */
  readonly host: string | null
  readonly deadline: Deadline
  /** Of the server's call in whose service it is made. */
  readonly parentCall: ParentCall
  readonly propagateFlags: number | null | undefined
}

/** An attempt that goes on beside the running one. */
interface HeldCall {
  readonly call: Call
  readonly startedAt: number
}

/**
 * One gRPC call, whatever it takes. It is the call that the client's stub holds, and the listener of every attempt (later ones speak through
 * {@link AttemptListener}, which knows its number). An attempt is a call on the ordinary channel of an endpoint.
 */
export class GrpcExchange extends Exchange implements Call, InterceptingListener, ConnectionWaiter {
  readonly #profile: ChannelProfile
  readonly #request: CallRequest
  /** The client's, or that of the call in whose service it is made; the route's is not in it. */
  #deadlineAt: number
  readonly #messages: MessageReplay
  #credentials: CallCredentials | null = null
  #metadata: Metadata | null = null
  #listener: InterceptingListener | null = null
  /** The running attempt. */
  #call: Call | null = null
  #number = 0
  /** A channel was closed below an attempt. */
  #wasClosed = false
  /** Headers of an answer that is not of gRPC: its status comes from its HTTP status, and may yet be retried. */
  #foreign: Metadata | null = null
  /** The channel of the running attempt while it has no connection. */
  #connecting: ChannelInterface | null = null
  /** A message is on its way, and its writer must not be let go on yet. */
  #isWriting = false
  #isHalfClosed = false
  /** The client waits for a message. */
  #isReading = false
  #cancelled: StatusObject | null = null
  #lastPeer = ''
  /** A status of this side, once there is one. */
  #own: StatusObject | null = null
  #attemptStartedAt = 0
  /** Status of the attempt that has ended beside the running one. */
  #lateCode = 0
  /** Copies that wait for the last message. */
  #mirrors: MirroredRequest[] | null = null

  constructor(
    environment: ExchangeEnvironment,
    target: Target,
    authority: string,
    profile: ChannelProfile,
    request: CallRequest,
  ) {
    super(environment, target, authority, 'http', 'POST', request.method)
    const { deadline } = request
    this.#profile = profile
    this.#request = request
    this.#deadlineAt = timeOf(deadline)
    this.#messages = new MessageReplay(environment.maxReplayBytes)
  }

  // --- The client's call ---

  start(metadata: Metadata, listener: InterceptingListener): void {
    this.#metadata = metadata
    this.#listener = listener
    if (this.#cancelled !== null) {
      this.ending(null, new CallStatusError(this.#cancelled))
      this.deliverError()
      return
    }
    this.#obeyParent()
    this.#obeyRequest()
    if (this.#deadlineAt !== Number.POSITIVE_INFINITY) this.#obeyDeadline()
    this.run()
  }

  sendMessageWithContext(context: MessageContext, message: Buffer): void {
    if (this.phase === 'finished') {
      if (context.callback !== undefined) process.nextTick(context.callback)
      return
    }
    this.requestBytes += message.length
    this.#messages.push(message, context)
    this.#write()
  }

  halfClose(): void {
    this.#isHalfClosed = true
    this.requestEnded()
    if (this.#mirrors !== null) this.#sendMirrors(this.#mirrors)
    if (!this.#messages.hasNext) this.#call?.halfClose()
  }

  startRead(): void {
    this.#isReading = true
    this.#call?.startRead()
  }

  cancelWithStatus(code: number, details: string): void {
    if (this.phase === 'finished' || this.#cancelled !== null) return
    this.#cancelled = localStatus(code, details)
    if (this.#listener !== null) this.abortedByCaller(new CallStatusError(this.#cancelled))
  }

  /** A channel was closed; if it is this one's, it ends, since it has no connection yet. */
  channelClosed(channel: ChannelProfile): void {
    if (channel === this.#profile) this.cancelWithStatus(grpcCode.unavailable, channelClosed)
  }

  getPeer(): string {
    return this.#call?.getPeer() ?? (this.#lastPeer === '' ? this.authority : this.#lastPeer)
  }

  getCallNumber(): number {
    return this.#call?.getCallNumber() ?? this.#number
  }

  setCredentials(credentials: CallCredentials): void {
    this.#credentials = credentials
  }

  getAuthContext(): AuthContext {
    return this.#call?.getAuthContext() ?? null
  }

  /** The `:authority` that the client asked for, if it did. */
  get ownHost(): string | null {
    return this.#request.host
  }

  override get isGrpc(): boolean {
    return true
  }

  // --- What the router asks ---

  header(name: string): string | undefined {
    // grpc-js sets it later (gRFC A28).
    if (name === 'content-type') return 'application/grpc'
    return this.#metadata === null ? undefined : joinMetadata(this.#metadata, name)
  }

  filterState(key: string): string | undefined {
    return key === 'io.grpc.channel_id' ? this.#profile.channelId : undefined
  }

  // --- The listener of the first attempt ---

  onReceiveMetadata(metadata: Metadata): void {
    this.onAttemptMetadata(1, metadata)
  }

  onReceiveMessage(message: Buffer): void {
    this.onAttemptMessage(1, message)
  }

  onReceiveStatus({ code, details, metadata }: StatusObject): void {
    // grpc-js's layers tell each other more in it.
    this.onAttemptStatus(1, { code, details, metadata })
  }

  // --- What every attempt tells ---

  onAttemptMetadata(attempt: number, metadata: Metadata): void {
    if (attempt !== this.epoch) {
      if (this.takesOver(attempt, true)) this.#accept(metadata)
    } else if (this.plan !== null && this.plan.retry !== null && !isOfGrpc(metadata)) {
      this.#foreign = metadata
    } else {
      this.#accept(metadata)
    }
  }

  #accept(metadata: Metadata): void {
    this.#foreign = null
    this.commit(200)
    this.#messages.release()
    if (this.changesAnswer) mutateAnswer(this, new MetadataHeaders(metadata))
    this.#tellRetries(metadata)
    this.#listener?.onReceiveMetadata(metadata)
  }

  onAttemptMessage(attempt: number, message: Buffer): void {
    if (attempt !== this.epoch) return
    if (this.#foreign !== null) this.#accept(this.#foreign)
    this.responseBytes += message.length
    this.#isReading = false
    this.#listener?.onReceiveMessage(message)
  }

  onAttemptStatus(attempt: number, told: StatusObject): void {
    const status = connectionStatus(told)
    if (attempt !== this.epoch) {
      this.#lateCode = status.code
      if (!this.takesOver(attempt, !this.#isRetriable(status))) return
    }
    const { cluster, endpoint } = this
    if (cluster !== null && endpoint !== null && cluster.readsLoadReports)
      cluster.reportLoad(
        endpoint,
        loadReportOf(name => status.metadata.get(name)[0]),
      )
    if (this.#call !== null) this.#lastPeer = this.#call.getPeer()
    this.#endAttempt(status.code)
    if (this.phase === 'committed') {
      this.judge(httpStatusOf(status.code))
      this.#end(status)
      return
    }
    // The time of an attempt is that of the whole call (gRFC A6), whoever is the first to notice that it is over.
    if (status.code === grpcCode.deadlineExceeded && (isOwn(status) || this.environment.clock.wallNow() >= this.#deadlineAt)) {
      this.judge(504)
      this.flag = this.#attemptDeadline() < this.#deadlineAt ? 'DT' : 'UT'
      this.fail(new CallStatusError(status))
      return
    }
    const failure = failureOf(status)
    if (failure !== null) {
      this.#call = null
      // A channel that is closed says nothing of its endpoint: with a new certificate come new ones.
      const isOnce = failure === 'refused-stream' || (status.details === channelClosed && !this.#wasClosed)
      if (status.details === channelClosed) this.#wasClosed = true
      const free = isOnce ? 'once' : failure === 'connect-failure' ? 'elsewhere' : 'no'
      this.attemptFailed(failure, new CallStatusError(status), free, status.code)
      return
    }
    if (this.responseStarted(200, answerHeaders(status), httpStatusOf(status.code), grpcStatusName(status.code))) {
      this.#call = null
      return
    }
    if (this.changesAnswer) mutateAnswer(this, new MetadataHeaders(status.metadata))
    if (this.#foreign !== null) this.#listener?.onReceiveMetadata(this.#foreign)
    this.#end(status)
  }

  // --- What the sequence asks ---

  protected send(endpoint: Endpoint): void {
    const metadata = this.#metadata
    if (metadata === null) return
    const attempt = this.attempts
    const sent = attemptMetadata(this, metadata, endpoint)
    const channel = this.#channelTo(endpoint)
    if (channel === null) return
    const { clock } = this.environment
    const connection = endpoint.grpc.connect(channel, this, attempt, clock.now())
    if (connection === 'stuck') {
      this.#notSent(this.#unconnected())
      return
    }
    this.#connecting = connection === 'connecting' ? channel : null
    const call = channel.createCall(sent.path, this.#attemptDeadline(), sent.host, null, null)
    this.#call = call
    this.#number = call.getCallNumber()
    if (this.#credentials !== null) call.setCredentials(this.#credentials)
    this.#isWriting = false
    this.#foreign = null
    this.#messages.rewind()
    this.#attemptStartedAt = clock.now()
    if (this.series !== null) this.environment.telemetry.startAttempt(this.series, this.path)
    call.start(sent.metadata, attempt === 1 ? this : new AttemptListener(this, attempt))
    // The call may have ended already.
    if (this.#call !== call) return
    if (this.#connecting === null) this.attemptSent()
    else this.limitTry(clock.now() + this.#connectTimeoutMs)
    if (this.#isReading) call.startRead()
    if (this.#messages.hasNext) this.#write()
    else if (this.#isHalfClosed) call.halfClose()
  }

  get #connectTimeoutMs(): number {
    return this.cluster === null ? 0 : this.cluster.config.connectTimeoutMs
  }

  #unconnected(): Error {
    return new Error(`No connection established within ${this.#connectTimeoutMs} ms`)
  }

  onConnected(attempt: number): void {
    if (attempt !== this.epoch || this.#connecting === null) return
    this.#connecting = null
    this.limitTry(0)
    this.attemptSent()
  }

  onUnconnected(attempt: number): void {
    if (attempt !== this.epoch || this.#connecting === null) return
    this.#connecting = null
    const error = this.#unconnected()
    this.abandon()
    this.attemptFailed('connect-failure', error, 'elsewhere')
  }

  protected override onTryDeadline(): void {
    if (this.#connecting === null) {
      super.onTryDeadline()
      return
    }
    const attempt = this.epoch
    this.endpoint?.grpc.giveUp(this.#connecting)
    this.onUnconnected(attempt)
  }

  #channelTo(endpoint: Endpoint): ChannelInterface | null {
    if (this.#profile.isClosed) {
      this.fail(new CallStatusError(localStatus(grpcCode.unavailable, channelClosed)))
      return null
    }
    try {
      return endpoint.grpc.get(this.#profile, this.authority, endpoint.activeRequests)
    } catch (error) {
      this.#notSent(error instanceof Error ? error : new Error(String(error)))
      return null
    }
  }

  /** Not at once: it may be that of a thousand endpoints, one after the other. */
  #notSent(error: Error): void {
    const attempt = this.epoch
    process.nextTick(() => {
      if (attempt === this.epoch) this.attemptFailed('connect-failure', error, 'elsewhere')
    })
  }

  protected mirror(mirrored: MirroredRequest): void {
    this.#mirrors ??= []
    this.#mirrors.push(mirrored)
    if (this.#isHalfClosed) this.#sendMirrors(this.#mirrors)
  }

  /** Messages that are not all held cannot be sent twice. */
  #sendMirrors(mirrors: readonly MirroredRequest[]): void {
    this.#mirrors = null
    const messages = this.#messages.whole()
    for (const mirrored of mirrors) {
      if (messages === null || this.#metadata === null || this.#profile.isClosed) mirrored.end(0)
      else this.#sendMirror(mirrored, attemptMetadata(this, this.#metadata, mirrored.endpoint), messages)
    }
  }

  #sendMirror(mirrored: MirroredRequest, { metadata, path, host }: AttemptMetadata, messages: readonly Buffer[]): void {
    const { endpoint, policy } = mirrored
    const authority = mirrorAuthority(policy, host ?? this.authority)
    const deadline = Math.min(this.#deadlineAt, this.environment.clock.wallNow() + mirrorTimeoutMs)
    const call = endpoint.grpc.get(this.#profile, this.authority).createCall(path, deadline, authority, null, null)
    if (this.#credentials !== null) call.setCredentials(this.#credentials)
    call.start(metadata.clone(), {
      onReceiveMetadata() {},
      onReceiveMessage: () => call.startRead(),
      onReceiveStatus: ({ code }) => mirrored.end(httpStatusOf(code)),
    })
    call.startRead()
    for (const message of messages) call.sendMessageWithContext({}, message)
    call.halfClose()
  }

  protected passThrough(): boolean {
    return false
  }

  protected abandon(): void {
    const call = this.#call
    this.#call = null
    this.#connecting = null
    this.epoch = 0
    if (call === null) return
    this.#lastPeer = call.getPeer()
    this.#endAttempt(this.#cancelled?.code ?? grpcCode.cancelled)
    call.cancelWithStatus(this.#cancelled?.code ?? grpcCode.cancelled, this.#cancelled?.details ?? 'Cancelled on client')
  }

  protected isSentWhole(): boolean {
    return this.#isHalfClosed && !this.#messages.hasNext && this.#call !== null
  }

  protected park(): HeldCall | null {
    const call = this.#call
    this.#call = null
    return call && { call, startedAt: this.#attemptStartedAt }
  }

  protected unpark(held: HeldCall | null): void {
    if (held === null) return
    this.#call = held.call
    this.#number = held.call.getCallNumber()
    this.#attemptStartedAt = held.startedAt
    this.#messages.skip()
    this.#isWriting = false
    if (this.#isReading) held.call.startRead()
  }

  protected dropParked(held: HeldCall | null, reason: Error | null): void {
    if (held === null) return
    this.#endAttempt(reason === null ? this.#lateCode : grpcCode.cancelled, held.startedAt)
    if (reason !== null) held.call.cancelWithStatus(grpcCode.cancelled, reason.message)
  }

  #isRetriable(status: StatusObject): boolean {
    const retry = this.plan?.retry ?? null
    if (retry === null || status.code === grpcCode.ok) return false
    const failure = failureOf(status)
    return failure === null ? retry.retriesResponse(200, answerHeaders(status)) : retry.retriesFailure(failure, status.code)
  }

  /** It is the call that waits, not its attempts: none of them knows of the other endpoints. */
  protected override waitsForReady(): boolean {
    return this.#metadata?.getOptions().waitForReady === true && !this.#profile.isClosed
  }

  protected canReplay(): boolean {
    return this.#messages.canReplay
  }

  protected override canResend(): boolean {
    return this.#messages.isWhole
  }

  protected isPaused(): boolean {
    return !this.#isReading
  }

  protected isWholeRequest(): boolean {
    return this.#isHalfClosed
  }

  protected timeouts(plan: RoutePlan): RouteTimeouts {
    return plan.grpc
  }

  protected override ending(reply: LocalReply | null, error: Error | null): void {
    if (error !== null) this.#own = statusOfError(error)
    else if (reply !== null) this.#own = statusOfReply(reply)
    this.grpcStatus = this.#own?.code ?? grpcCode.unknown
  }

  protected deliverReply(): void {
    this.#deliver()
  }

  protected deliverError(): void {
    this.#deliver()
  }

  protected release(): void {
    if (this.#mirrors !== null) for (const mirrored of this.#mirrors) mirrored.end(0)
    this.#mirrors = null
    this.#messages.close()
  }

  #end(status: StatusObject): void {
    this.grpcStatus = status.code
    this.responseEnded()
    this.#tellRetries(status.metadata)
    this.#listener?.onReceiveStatus(status)
    // As of HTTP: what grpc-js still holds of a call that is over leads no further.
    this.#listener = null
    this.#metadata = null
  }

  /** The client hears of its retries with what comes of them (gRFC A6). */
  #tellRetries(metadata: Metadata): void {
    if (this.retries > 0) metadata.set(previousAttempts, String(this.retries))
  }

  #deliver(): void {
    const status = this.#own
    if (status === null) return
    this.#tellRetries(status.metadata)
    // Never from inside a call of the client's.
    process.nextTick(() => this.#listener?.onReceiveStatus(status))
  }

  #endAttempt(code: number, startedAt = this.#attemptStartedAt): void {
    const { clock, telemetry } = this.environment
    if (this.series !== null) telemetry.endAttempt(this.series, this.path, code, clock.now() - startedAt)
  }

  /** Sends what is next, one at a time as far as writers wait: an endpoint's call holds one message until it is on a connection. */
  #write(): void {
    const call = this.#call
    if (call === null || this.#isWriting) return
    const outgoing = this.#messages.next()
    if (outgoing === undefined) return
    this.#isWriting = true
    call.sendMessageWithContext(this.#contextOf(outgoing, call), outgoing.message)
    if (this.#isHalfClosed && !this.#messages.hasNext) call.halfClose()
  }

  #contextOf(outgoing: OutgoingMessage, call: Call): MessageContext {
    const callback = () => {
      settle(outgoing)
      if (this.#call !== call) return
      this.#isWriting = false
      this.#messages.sent()
      this.#write()
    }
    return outgoing.flags === undefined ? { callback } : { callback, flags: outgoing.flags }
  }

  /** The client's, or the route's if that is nearer: it is told to the server. */
  #attemptDeadline(): number {
    const maxDurationMs = this.plan === null ? 0 : this.plan.grpc.maxDurationMs
    if (maxDurationMs === 0) return this.#deadlineAt
    const { clock } = this.environment
    return Math.min(this.#deadlineAt, clock.wallNow() + this.startedAt + maxDurationMs - clock.now())
  }

  /** An attempt has a timer of its own; this one is for the time without one. */
  #obeyDeadline(): void {
    const { clock } = this.environment
    this.limit(clock.now() + Math.max(0, this.#deadlineAt - clock.wallNow()), 'UT')
    this.arm()
  }

  /** A client that takes no deadline from the call that it names takes none at all. */
  protected override deadlineOfRequest(): number {
    const { parentCall, propagateFlags } = this.#request
    if (parentCall === null) return super.deadlineOfRequest()
    const { propagate } = grpcJs()
    return ((propagateFlags ?? propagate.DEFAULTS) & propagate.DEADLINE) === 0 ? 0 : super.deadlineOfRequest()
  }

  /** The server of an attempt is told how long the request has that is being served here meanwhile. */
  #obeyRequest(): void {
    const { clock } = this.environment
    const deadlineAt = this.deadlineOfRequest()
    if (deadlineAt !== 0) this.#deadlineAt = Math.min(this.#deadlineAt, clock.wallNow() + deadlineAt - clock.now())
  }

  /** grpc-js's own call would do it, but there may be none yet, and another one may follow it. */
  #obeyParent(): void {
    const { parentCall, propagateFlags } = this.#request
    if (parentCall === null) return
    const { propagate } = grpcJs()
    const flags = propagateFlags ?? propagate.DEFAULTS
    if ((flags & propagate.DEADLINE) !== 0) this.#deadlineAt = Math.min(this.#deadlineAt, timeOf(parentCall.getDeadline()))
    if ((flags & propagate.CANCELLATION) !== 0)
      parentCall.on('cancelled', () => this.cancelWithStatus(grpcCode.cancelled, 'Cancelled by parent call'))
  }
}

function timeOf(deadline: Deadline): number {
  return deadline instanceof Date ? deadline.getTime() : deadline
}

/** What grpc-js says of a call that had no connection when its channel was closed. */
const channelClosed = 'Channel closed before call started'

/** Longest life of a mirrored call. */
const mirrorTimeoutMs = 15_000

/** The listener of an attempt after the first. */
class AttemptListener implements InterceptingListener {
  readonly #exchange: GrpcExchange
  readonly #attempt: number

  constructor(exchange: GrpcExchange, attempt: number) {
    this.#exchange = exchange
    this.#attempt = attempt
  }

  onReceiveMetadata(metadata: Metadata): void {
    this.#exchange.onAttemptMetadata(this.#attempt, metadata)
  }

  onReceiveMessage(message: Buffer): void {
    this.#exchange.onAttemptMessage(this.#attempt, message)
  }

  onReceiveStatus({ code, details, metadata }: StatusObject): void {
    this.#exchange.onAttemptStatus(this.#attempt, { code, details, metadata })
  }
}

/** Whether an answer is of gRPC at all, and not that of a proxy or another server on the way. */
function isOfGrpc(metadata: Metadata): boolean {
  const [type] = metadata.get('content-type')
  return typeof type === 'string' && type.startsWith('application/grpc')
}

/** The headers of an answer that is nothing but a status, as a retry policy reads them. */
function answerHeaders({ code, metadata }: StatusObject): Record<string, string | undefined> {
  const headers: Record<string, string | undefined> = { 'grpc-status': String(code) }
  for (const [name, value] of Object.entries(metadata.getMap())) if (typeof value === 'string') headers[name] = value
  return headers
}
