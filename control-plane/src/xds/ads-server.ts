import type { Node } from 'inmesh/gen/envoy/config/core/v3/base_pb'
import type { Clock, Logger, Timer } from '../runtime.ts'
import { AdsStream } from './ads-stream.ts'
import type { AdsStreamHost, EncodedResponse, View, XdsProtocol } from './ads-stream-host.ts'
import type { ClientStatus } from './client-status.ts'
import { ConnectRate } from './connect-rate.ts'
import { Debounce } from './debounce.ts'
import type { GrpcCall, GrpcCallListener, GrpcHandler } from './grpc-call.ts'
import { deltaFrame, type ResponseContent, sotwFrame } from './response-frame.ts'
import { changedNames, emptySnapshot, type Resources, type Snapshot, SnapshotEncoder } from './snapshot.ts'
import { statusCode } from './status-code.ts'
import { SubscriberIndex } from './subscriber-index.ts'

/** Where the server gets the configuration of a client from. */
export interface ResourceSource {
  /**
   * Names the view of a client: clients of one name see the same resources. Called once for each stream.
   *
   * @param identity SPIFFE ID of its certificate; `undefined` in plaintext
   * @returns `undefined` for a client that says it is somebody else
   */
  viewOf(node: Node | undefined, identity?: string): string | undefined
  /** A client of a view asks for resources by name that may have to be made. Returns whether there are new ones. */
  demand?(view: string, typeUrl: string, names: readonly string[]): boolean
  /** A client that asked for them does so no more. */
  release?(view: string, typeUrl: string, names: readonly string[]): void
  /** The resources of a view now; `undefined` while there is no configuration at all. */
  resourcesOf(view: string): ViewResources | undefined
}

/** The resources of a view at a revision. */
export interface ViewResources {
  readonly revision: string
  readonly resources: Resources
}

/** Who comes and goes. */
export interface StreamObserver {
  opened(stream: AdsStream, node: Node | undefined, identity: string | undefined): void
  closed(stream: AdsStream): void
}

/** Options of {@link AdsServer}. */
export interface AdsServerOptions {
  readonly clock: Clock
  readonly logger: Logger
  readonly source: ResourceSource
  readonly observer?: StreamObserver
  /** Quiet time after a change before it is pushed. Default 20 ms; 0 pushes at once. */
  readonly debounceMs?: number
  /** Longest time a stream of changes puts off the push. Default 500 ms. */
  readonly maxDebounceMs?: number
  /** New streams a second. Default 500; 0 is no limit. More are refused with RESOURCE_EXHAUSTED. */
  readonly connectsPerSecond?: number
  /** Streams at once. Default 10,000. */
  readonly maxStreams?: number
  /** Streams at once of one identity, which all instances of a service share. Default half of {@link maxStreams}. */
  readonly maxStreamsPerIdentity?: number
  /** Names one stream may subscribe to. Default 100,000. */
  readonly maxNamesPerStream?: number
  /** Resources beyond this go into the next response where the type allows it. Default 2 MiB: gRPC clients read 4 MiB at most. */
  readonly maxResponseBytes?: number
  /** Default 2,000 ms. See {@link AdsStreamHost.orderTimeoutMs}. */
  readonly orderTimeoutMs?: number
  /** Default 15,000 ms. See {@link AdsStreamHost.removalTimeoutMs}. */
  readonly removalTimeoutMs?: number
  /**
   * For this long after the start a client keeps what it brings along from an earlier stream. Default 0. For a server that lost its
   * memory of who is there, and would otherwise take endpoints away that are only about to register again.
   */
  readonly settleMs?: number
}

/** Streams written to in one turn of the event loop. */
const flushBatch = 64

class LiveView implements View {
  readonly key: string
  snapshot: Snapshot = emptySnapshot
  streams = 0
  readonly #indexes = new Map<string, SubscriberIndex<AdsStream>>()

  constructor(key: string) {
    this.key = key
  }

  index(typeUrl: string): SubscriberIndex<AdsStream> {
    let index = this.#indexes.get(typeUrl)
    if (!index) {
      index = new SubscriberIndex()
      this.#indexes.set(typeUrl, index)
    }
    return index
  }
}

/** The differences of a push, found once for all views that share snapshots. */
class SharedChanges {
  readonly #known = new Map<Snapshot, Map<Snapshot, ReturnType<typeof changedNames>>>()

  between(from: Snapshot, to: Snapshot): ReturnType<typeof changedNames> {
    let byTarget = this.#known.get(from)
    if (!byTarget) {
      byTarget = new Map()
      this.#known.set(from, byTarget)
    }
    let changes = byTarget.get(to)
    if (!changes) {
      changes = changedNames(from, to)
      byTarget.set(to, changes)
    }
    return changes
  }
}

/** The aggregated discovery service: streams in, pushes out. Knows nothing of sockets. */
export class AdsServer implements AdsStreamHost {
  readonly clock: Clock
  readonly orderTimeoutMs: number
  readonly removalTimeoutMs: number
  readonly maxResponseBytes: number
  readonly maxNamesPerStream: number
  readonly #options: AdsServerOptions
  readonly #streams = new Set<AdsStream>()
  /** How many of them each identity has. */
  readonly #identities = new Map<string, number>()
  readonly #views = new Map<string, LiveView>()
  readonly #encoder = new SnapshotEncoder()
  readonly #connectRate: ConnectRate
  readonly #debounce: Debounce
  #settleTimer: Timer | undefined
  #nonce = 0
  /** Streams that the push under way has not reached, and the responses it has encoded. */
  readonly #woken = new Set<AdsStream>()
  #shared: Map<string, EncodedResponse> | undefined
  #flushing = false
  /** Whether what is encoded now is part of the push, and not the answer to a request. */
  #sharing = false

  constructor(options: AdsServerOptions) {
    this.#options = options
    this.clock = options.clock
    this.orderTimeoutMs = options.orderTimeoutMs ?? 2000
    this.removalTimeoutMs = options.removalTimeoutMs ?? 15_000
    this.maxResponseBytes = options.maxResponseBytes ?? 2 * 1024 * 1024
    this.maxNamesPerStream = options.maxNamesPerStream ?? 100_000
    this.#connectRate = new ConnectRate(options.clock, options.connectsPerSecond ?? 500)
    this.#debounce = new Debounce(options.clock, options.debounceMs ?? 20, options.maxDebounceMs ?? 500, () => this.#push())
    if (options.settleMs) this.#settleTimer = options.clock.setTimeout(() => this.#settled(), options.settleMs)
  }

  get settling(): boolean {
    return this.#settleTimer !== undefined
  }

  /** The two methods of the service by path. */
  handlers(): ReadonlyMap<string, GrpcHandler> {
    const service = '/envoy.service.discovery.v3.AggregatedDiscoveryService'
    return new Map<string, GrpcHandler>([
      [`${service}/StreamAggregatedResources`, call => this.connect('sotw', call)],
      [`${service}/DeltaAggregatedResources`, call => this.connect('delta', call)],
    ])
  }

  /** Takes a new stream, or ends it when there are too many or too many at once. */
  connect(protocol: XdsProtocol, call: GrpcCall): GrpcCallListener {
    const stream = new AdsStream(protocol, call, this)
    const { maxStreams = 10_000, maxStreamsPerIdentity = maxStreams / 2 } = this.#options
    const { peerIdentity } = stream
    if (this.#streams.size >= maxStreams) stream.end(statusCode.resourceExhausted, 'too many streams')
    else if (peerIdentity !== undefined && (this.#identities.get(peerIdentity) ?? 0) >= maxStreamsPerIdentity)
      stream.end(statusCode.resourceExhausted, `too many streams of ${peerIdentity}`)
    else if (!this.#connectRate.admit()) stream.end(statusCode.resourceExhausted, 'too many new streams, come back later')
    else {
      this.#streams.add(stream)
      this.#count(peerIdentity, 1)
    }
    return stream
  }

  /** Says that the source may have something new. */
  update(): void {
    this.#debounce.call()
  }

  /** Stops the timers. The streams are the transport's to end. */
  close(): void {
    this.#debounce.cancel()
    this.#settleTimer?.cancel()
  }

  /** Every connected client with the state of each type. */
  clients(): ClientStatus[] {
    return Array.from(this.#streams, stream => ({
      nodeId: stream.nodeId,
      peer: stream.peer,
      identity: stream.peerIdentity,
      userAgent: stream.userAgent,
      protocol: stream.protocol,
      view: stream.view?.key ?? '',
      connectedAtMs: stream.connectedAtMs,
      types: stream.typeStatuses(),
    }))
  }

  open(stream: AdsStream, node: Node | undefined): View | undefined {
    const key = this.#options.source.viewOf(node, stream.peerIdentity)
    if (key === undefined) {
      stream.end(statusCode.permissionDenied, 'the certificate is for another namespace than the node says')
      return undefined
    }
    let view = this.#views.get(key)
    if (!view) {
      view = new LiveView(key)
      if (!this.#refresh(view)) return undefined
      this.#views.set(key, view)
    }
    view.streams += 1
    this.#options.observer?.opened(stream, node, stream.peerIdentity)
    return view
  }

  demanded({ key }: View, typeUrl: string, names: readonly string[]): void {
    const view = this.#views.get(key)
    if (view && this.#options.source.demand?.(key, typeUrl, names)) this.#refresh(view)
  }

  released({ key }: View, typeUrl: string, names: readonly string[]): void {
    this.#options.source.release?.(key, typeUrl, names)
  }

  closed(stream: AdsStream): void {
    if (this.#streams.delete(stream)) this.#count(stream.peerIdentity, -1)
    this.#woken.delete(stream)
    if (!stream.view) return
    const view = this.#views.get(stream.view.key)
    if (view) view.streams -= 1
    this.#options.observer?.closed(stream)
  }

  #count(identity: string | undefined, change: 1 | -1): void {
    if (identity === undefined) return
    const count = (this.#identities.get(identity) ?? 0) + change
    if (count > 0) this.#identities.set(identity, count)
    else this.#identities.delete(identity)
  }

  refused(stream: AdsStream, typeUrl: string, detail: string): void {
    this.#options.logger.warn('a client refused a configuration', { node: stream.nodeId, peer: stream.peer, typeUrl, detail })
  }

  failed(stream: AdsStream, error: unknown): void {
    this.#options.logger.error('a request could not be answered', {
      node: stream.nodeId,
      peer: stream.peer,
      error: String(error),
    })
  }

  encode(stream: AdsStream, view: View, typeUrl: string, content: ResponseContent): EncodedResponse {
    if (!this.#sharing || !this.#shared) return this.#encode(stream.protocol, view, typeUrl, content)
    const { revision } = view.snapshot
    let key = stream.protocol === 'delta' ? `delta ${revision} ${typeUrl}` : `sotw ${view.snapshot.versionOf(typeUrl)} ${typeUrl}`
    for (const { name, version } of content.resources) key += `\n${name} ${version}`
    for (const name of content.absent) key += `\n-${name}`
    let response = this.#shared.get(key)
    if (!response) {
      response = this.#encode(stream.protocol, view, typeUrl, content)
      this.#shared.set(key, response)
    }
    return response
  }

  #encode(protocol: XdsProtocol, { snapshot }: View, typeUrl: string, content: ResponseContent): EncodedResponse {
    this.#nonce += 1
    const nonce = this.#nonce.toString(36)
    if (protocol === 'delta') {
      return { frame: deltaFrame(typeUrl, snapshot.revision, nonce, content), nonce, version: snapshot.revision }
    }
    const version = snapshot.versionOf(typeUrl)
    return { frame: sotwFrame(typeUrl, version, nonce, content), nonce, version }
  }

  #push(): void {
    const changes = new SharedChanges()
    for (const view of this.#views.values()) {
      // Kept until now for clients that come back soon.
      if (view.streams === 0) {
        this.#views.delete(view.key)
        continue
      }
      const before = view.snapshot
      try {
        if (!this.#refresh(view)) continue
      } catch (error) {
        // The clients of this view keep what they have; those of the others get theirs.
        this.#options.logger.error('a view could not be made', { view: view.key, error: String(error) })
        continue
      }
      for (const [typeUrl, names] of changes.between(before, view.snapshot)) {
        const index = view.index(typeUrl)
        for (const name of names) index.markDirty(name, this.#woken)
      }
    }
    this.#shared = new Map()
    if (!this.#flushing) this.#flush()
  }

  /**
   * Writes to some streams and lets the event loop send before it goes on: the last client of many waits no longer, the first ones
   * much shorter, and requests are read in between.
   */
  #flush(): void {
    let left = flushBatch
    this.#sharing = true
    for (const stream of this.#woken) {
      if (left-- === 0) break
      this.#woken.delete(stream)
      stream.flush()
    }
    this.#sharing = false
    this.#flushing = this.#woken.size > 0
    if (this.#flushing) setImmediate(() => this.#flush())
    else this.#shared = undefined
  }

  #refresh(view: LiveView): boolean {
    const next = this.#options.source.resourcesOf(view.key)
    if (!next) return false
    view.snapshot = this.#encoder.encode(next.revision, next.resources, view.snapshot)
    return true
  }

  #settled(): void {
    this.#settleTimer = undefined
    for (const stream of this.#streams) stream.release()
  }
}
