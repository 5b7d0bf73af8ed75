import type { HashRequest } from '../policies/hash-policy.ts'
import type { PickContext } from '../policies/load-balancing/picker.ts'
import type { SessionTarget } from '../policies/stateful-session.ts'
import type { Clock, Random } from '../runtime.ts'
import type { Destination, Outcome } from '../telemetry/outcome.ts'
import type { ResponseFlag } from '../telemetry/response-flag.ts'
import type { CallSpan, CallStart, Telemetry } from '../telemetry/telemetry.ts'
import type { Cluster } from './cluster.ts'
import type { Endpoint } from './endpoint.ts'
import type { ChosenCluster, MatchedRoute, RoutePlan } from './route-plan.ts'
import type { RouteRequest } from './route-request.ts'
import type { Target } from './target.ts'
import { type TimerWheel, WheelTimer } from './timer-wheel.ts'

/** What every exchange needs of the data plane. */
export interface ExchangeEnvironment {
  readonly clock: Clock
  readonly random: Random
  readonly wheel: TimerWheel
  readonly telemetry: Telemetry
  /** Failures of the mesh's own become the answers that a sidecar gives, instead of errors. */
  readonly localReplies: boolean
  /** Bytes of a one-shot body held for another attempt. */
  readonly maxReplayBytes: number
  /** Bytes of a discarded answer read for the sake of its connection. */
  readonly maxDiscardBytes: number
  /** How long an attempt may be silent where its route says nothing; 0 is for ever. */
  readonly idleTimeoutMs: number
  /** How long a request waits for the configuration of its authority. */
  readonly configTimeoutMs: number
}

const nobody: Destination = { service: '', version: '' }

/**
 * What is known of one request: what the router reads to match it, what a balancer reads to pick for it, and what telemetry reads when it is
 * over. The exchange is all of these itself, so that a call allocates one object.
 */
export abstract class ExchangeRecord extends WheelTimer implements RouteRequest, Outcome, CallStart, PickContext, HashRequest {
  readonly environment: ExchangeEnvironment
  readonly random: Random
  readonly target: Target
  readonly method: string
  /** As the caller sent it, until the listener has it normalised. */
  path: string
  readonly scheme: string
  readonly authority: string
  phase: 'new' | 'waiting' | 'trying' | 'backoff' | 'committed' | 'finished'
  startedAt: number
  /** When the request that it is made for has to be answered, in monotonic milliseconds; 0: it is made for none, or for one that has no end. */
  requestDeadlineAt: number
  durationMs: number
  statusCode: number
  grpcStatus: number
  flag: ResponseFlag
  attempts: number
  requestBytes: number
  responseBytes: number
  error: Error | null
  route: MatchedRoute | null
  plan: RoutePlan | null
  choice: ChosenCluster | null
  cluster: Cluster | null
  endpoint: Endpoint | null
  span: CallSpan | null
  /** Of its route's hash policies. */
  hash: bigint | null
  /** The `Set-Cookie` line to add to the answer. */
  cookie: string | null
  /** Whom the caller's session names; `null`: nobody. */
  sessionTarget: SessionTarget | null
  /** Number of the running attempt; 0 when none runs. What calls back with another number is late. */
  epoch: number

  constructor(environment: ExchangeEnvironment, target: Target, authority: string, scheme: string, method: string, path: string) {
    super()
    this.environment = environment
    this.random = environment.random
    this.target = target
    this.method = method
    this.path = path
    this.scheme = scheme
    this.authority = authority
    this.phase = 'new'
    this.startedAt = 0
    this.requestDeadlineAt = 0
    this.durationMs = 0
    this.statusCode = 0
    this.grpcStatus = -1
    this.flag = ''
    this.attempts = 0
    this.requestBytes = 0
    this.responseBytes = 0
    this.error = null
    this.route = null
    this.plan = null
    this.choice = null
    this.cluster = null
    this.endpoint = null
    this.span = null
    this.hash = null
    this.cookie = null
    this.sessionTarget = null
    this.epoch = 0
  }

  abstract header(name: string): string | readonly string[] | undefined

  /** A hash policy has made a cookie for the caller to come back with. */
  setCookie(line: string): void {
    this.cookie = line
  }

  /** The route changes what is sent, beside the trace. */
  get changesHeaders(): boolean {
    const plan = this.plan
    return plan !== null && (plan.sendsAttemptCount || this.choice?.attachment?.needsFinalizing === true)
  }

  /** The route changes the headers of the answer. */
  get changesAnswer(): boolean {
    const { route, choice } = this
    if (route === null) return false
    if (choice !== null && choice.attachment !== undefined && choice.attachment.session !== null) return true
    return (choice ?? route).responseMutations !== null || this.plan?.answersAttemptCount === true || this.cookie !== null
  }

  get isGrpc(): boolean {
    return false
  }

  get startedAtWall(): number {
    return this.environment.clock.wallNow()
  }

  get routeName(): string {
    return this.route === null ? '' : this.route.name
  }

  get urlTemplate(): string {
    return this.route === null ? '' : this.route.urlTemplate
  }

  get clusterName(): string {
    return this.cluster === null ? '' : this.cluster.name
  }

  get destination(): Destination {
    return this.cluster === null ? nobody : this.cluster.config.destination
  }

  get endpointAddress(): string {
    return this.endpoint === null ? '' : this.endpoint.name
  }
}
