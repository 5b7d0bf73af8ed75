import { fromBinary } from '@bufbuild/protobuf'
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DiscoveryRequest,
  DiscoveryRequestSchema,
} from 'inmesh/gen/envoy/service/discovery/v3/discovery_pb'
import type { Timer } from '../runtime.ts'
import type { AdsStreamHost, View, XdsProtocol } from './ads-stream-host.ts'
import type { TypeStatus } from './client-status.ts'
import { DeltaSubscription } from './delta-subscription.ts'
import type { GrpcCall, GrpcCallListener } from './grpc-call.ts'
import { clusterType, endpointType, leavesLast, pushOrder, refersToClusters } from './resource-type.ts'
import type { ResponseContent } from './response-frame.ts'
import { SotwSubscription } from './sotw-subscription.ts'
import { statusCode } from './status-code.ts'
import type { Subscriber } from './subscriber-index.ts'
import type { Subscription } from './subscription.ts'

type Request = DeltaDiscoveryRequest | DiscoveryRequest

/** Types one stream may ask for: the known ones and room for what clients ask in vain. */
const maxTypes = 32

/**
 * One client's ADS stream: decides when each type may be sent. At most one unasked response of a type is unacknowledged; what changes
 * meanwhile is merged, so a slow client costs no queue and gets the latest.
 */
export class AdsStream implements GrpcCallListener {
  readonly protocol: XdsProtocol
  readonly peer: string
  /** SPIFFE ID of the client's certificate; `undefined` in plaintext. */
  readonly peerIdentity: string | undefined
  nodeId = ''
  userAgent = ''
  readonly connectedAtMs: number
  readonly #host: AdsStreamHost
  readonly #call: GrpcCall
  #view: View | undefined
  #open = true
  /** In push order. */
  #subscribers: Subscriber<AdsStream>[] = []
  #names = 0
  /** Assignments of clusters just sent: the client warms these clusters until it gets them. */
  readonly #warming = new Set<string>()
  #orderTimer: Timer | undefined
  #orderWaived = false
  #removalTimer: Timer | undefined
  #removalsDue = false

  constructor(protocol: XdsProtocol, call: GrpcCall, host: AdsStreamHost) {
    this.protocol = protocol
    this.peer = call.peer
    this.peerIdentity = call.peerIdentity?.spiffeId
    this.connectedAtMs = host.clock.wallNow()
    this.#host = host
    this.#call = call
  }

  get view(): View | undefined {
    return this.#view
  }

  onMessage(message: Uint8Array): void {
    if (!this.#open) return
    const request = this.#decode(message)
    if (!request) return
    try {
      this.#onRequest(request)
    } catch (error) {
      this.#host.failed(this, error)
      this.end(statusCode.internal, 'the control plane failed to answer')
    }
  }

  #decode(message: Uint8Array): Request | undefined {
    try {
      return this.protocol === 'delta'
        ? fromBinary(DeltaDiscoveryRequestSchema, message)
        : fromBinary(DiscoveryRequestSchema, message)
    } catch (error) {
      this.end(
        statusCode.invalidArgument,
        `the request cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      )
      return undefined
    }
  }

  onDrain(): void {
    this.flush()
  }

  onClose(): void {
    if (this.#open) this.#close()
  }

  /** Ends the stream with a gRPC status. */
  end(code: Parameters<GrpcCall['end']>[0], message: string): void {
    if (!this.#open) return
    this.#close()
    this.#call.end(code, message)
  }

  #close(): void {
    this.#open = false
    this.#orderTimer?.cancel()
    this.#removalTimer?.cancel()
    for (const subscriber of this.#subscribers) {
      const { typeUrl, names } = subscriber.subscription
      this.#view?.index(typeUrl).delete(subscriber)
      if (this.#view && names.size > 0) this.#host.released(this.#view, typeUrl, [...names])
    }
    this.#host.closed(this)
  }

  #onRequest(request: Request): void {
    // The node is sure to be there on the first request of a stream only.
    if (!this.#view) {
      this.nodeId = request.node?.id ?? ''
      this.userAgent = request.node?.userAgentName ?? ''
      this.#view = this.#host.open(this, request.node)
      if (!this.#view) {
        // Has been ended already where it may not have one.
        this.end(statusCode.unavailable, 'no configuration yet')
        return
      }
    }
    const { typeUrl } = request
    if (!typeUrl) {
      this.end(statusCode.invalidArgument, 'type_url is required on an aggregated stream')
      return
    }
    let subscriber = this.#subscribers.find(({ subscription }) => subscription.typeUrl === typeUrl)
    const first = !subscriber
    if (!subscriber) {
      if (this.#subscribers.length >= maxTypes) {
        this.end(statusCode.resourceExhausted, `more than ${maxTypes} types`)
        return
      }
      subscriber = this.#subscribe(typeUrl)
    }
    const { subscription } = subscriber
    const change =
      subscription instanceof DeltaSubscription && request.$typeName === 'envoy.service.discovery.v3.DeltaDiscoveryRequest'
        ? subscription.request(request)
        : subscription instanceof SotwSubscription && request.$typeName === 'envoy.service.discovery.v3.DiscoveryRequest'
          ? subscription.request(request)
          : undefined
    if (!change?.current) return
    this.#names += change.added.length - change.removed.length
    this.#view.index(typeUrl).update(subscriber, change.added, change.removed)
    if (change.added.length > 0) this.#host.demanded(this.#view, typeUrl, change.added)
    if (change.removed.length > 0) this.#host.released(this.#view, typeUrl, change.removed)
    if (this.#names > this.#host.maxNamesPerStream) {
      this.end(statusCode.resourceExhausted, `more than ${this.#host.maxNamesPerStream} names`)
      return
    }
    if (first && this.#host.settling && bringsAlong(request)) subscription.hold()
    // A client that comes back with assignments it knows still warms the clusters it just got anew, until it is sent the assignments.
    if (first && typeUrl === endpointType) for (const name of this.#warming) subscription.force(name)
    if (request.errorDetail) this.#host.refused(this, typeUrl, request.errorDetail.message)
    this.flush()
  }

  #subscribe(typeUrl: string): Subscriber<AdsStream> {
    const subscription = this.protocol === 'delta' ? new DeltaSubscription(typeUrl) : new SotwSubscription(typeUrl)
    const subscriber = { subscription, stream: this }
    this.#subscribers = [...this.#subscribers, subscriber].sort(
      (a, b) => pushOrder(a.subscription.typeUrl) - pushOrder(b.subscription.typeUrl),
    )
    return subscriber
  }

  /** Lets go of what {@link AdsStreamHost.settling} held. */
  release(): void {
    for (const { subscription } of this.#subscribers) subscription.release()
    this.flush()
  }

  /** Sends whatever may be sent now. */
  flush(): void {
    const view = this.#view
    if (!view || !this.#open) return
    let waiting = false
    for (const { subscription } of this.#subscribers) {
      if (this.#call.congested) return
      if (!subscription.pending) continue
      if (!subscription.urgent && subscription.acknowledgement.state === 'waiting') continue
      if (!subscription.urgent && refersToClusters(subscription.typeUrl) && !this.#clustersReady()) {
        waiting = true
        continue
      }
      this.#send(view, subscription, !leavesLast(subscription.typeUrl))
    }
    if (!waiting) this.#stopOrderTimer()
    else this.#orderTimer ??= this.#host.clock.setTimeout(() => this.#waiveOrder(), this.#host.orderTimeoutMs)
    this.#flushRemovals(view)
  }

  #send(view: View, subscription: Subscription, removals: boolean): void {
    const { typeUrl } = subscription
    const content = subscription.collect(view.snapshot.ofType(typeUrl), { removals, maxBytes: this.#host.maxResponseBytes })
    if (!content) return
    const { frame, nonce, version } = this.#host.encode(this, view, typeUrl, content)
    // Before the write: an ACK may come back faster than the write returns.
    subscription.sent(nonce, version)
    this.#call.write(frame)
    if (typeUrl === clusterType) this.#warm(view, content)
    else if (typeUrl === endpointType && this.#warming.size > 0) {
      for (const { name } of content.resources) this.#warming.delete(name)
      for (const name of content.absent) this.#warming.delete(name)
    }
  }

  /** A cluster that is new or changed at the client gets its assignment anew, though the endpoints are the same. xDS "Resource warming". */
  #warm({ snapshot }: View, { changed }: ResponseContent): void {
    const assignments = snapshot.ofType(endpointType)
    const endpoints = this.#subscribers.find(({ subscription }) => subscription.typeUrl === endpointType)?.subscription
    for (const { assignment } of changed) {
      if (!assignments.has(assignment)) continue
      this.#warming.add(assignment)
      if (endpoints?.covers(assignment)) endpoints.force(assignment)
    }
  }

  /** Whether the client has every cluster it was sent, with endpoints. */
  #clustersReady(): boolean {
    if (this.#orderWaived) return true
    if (this.#warming.size > 0) return false
    for (const { subscription } of this.#subscribers) {
      const { typeUrl, acknowledgement } = subscription
      if ((typeUrl === clusterType || typeUrl === endpointType) && acknowledgement.state === 'waiting') return false
    }
    return true
  }

  #waiveOrder(): void {
    this.#orderTimer = undefined
    this.#orderWaived = true
    this.#warming.clear()
    this.flush()
    this.#orderWaived = false
  }

  #stopOrderTimer(): void {
    this.#orderTimer?.cancel()
    this.#orderTimer = undefined
  }

  #flushRemovals(view: View): void {
    if (!this.#subscribers.some(({ subscription }) => subscription.leaving)) {
      this.#removalTimer?.cancel()
      this.#removalTimer = undefined
      return
    }
    if (!this.#removalsDue && !this.#routesAccepted()) {
      this.#removalTimer ??= this.#host.clock.setTimeout(() => this.#forceRemovals(), this.#host.removalTimeoutMs)
      return
    }
    this.#removalTimer?.cancel()
    this.#removalTimer = undefined
    for (const { subscription } of this.#subscribers) {
      if (subscription.leaving && !this.#call.congested) this.#send(view, subscription, true)
    }
  }

  /** Whether nothing is under way and the client accepted the last listeners and routes. */
  #routesAccepted(): boolean {
    return this.#subscribers.every(({ subscription: { typeUrl, pending, acknowledgement } }) => {
      if (pending || acknowledgement.state === 'waiting') return false
      return acknowledgement.state !== 'refused' || !refersToClusters(typeUrl)
    })
  }

  #forceRemovals(): void {
    this.#removalTimer = undefined
    this.#removalsDue = true
    this.flush()
    this.#removalsDue = false
  }

  /** State of each type for `status`. */
  typeStatuses(): TypeStatus[] {
    return this.#subscribers.map(({ subscription: { typeUrl, wildcard, names, acknowledgement } }) => ({
      typeUrl,
      state: statusOf[acknowledgement.state],
      wildcard,
      names: names.size,
      version: acknowledgement.state === 'none' ? '' : acknowledgement.version,
      error: acknowledgement.state === 'refused' ? acknowledgement.detail : '',
    }))
  }
}

const statusOf = { none: 'NOT_SENT', waiting: 'STALE', accepted: 'SYNCED', refused: 'ERROR' } as const

/** Whether a first request says that the client has resources from an earlier stream. */
function bringsAlong(request: { versionInfo?: string; initialResourceVersions?: { [key: string]: string } }): boolean {
  if (request.versionInfo) return true
  for (const _ in request.initialResourceVersions) return true
  return false
}
