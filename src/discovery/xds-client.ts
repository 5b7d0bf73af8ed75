import type { Runtime, Timer } from '../runtime.ts'
import type { AdsStream, AdsTransport } from './ads-transport.ts'
import type { AdsResponse, XdsProtocol } from './discovery-message.ts'
import type { XdsStreamStatus } from './grpc-status.ts'
import { reconnectDelayMs } from './reconnect-backoff.ts'
import { ReconnectLoop } from './reconnect-loop.ts'
import type { ResourceDump } from './resource-status.ts'
import { ResourceSubscription } from './resource-subscription.ts'
import type { ResourceKind, ResourceModels, ResourceTypes } from './resource-type.ts'
import type { ResourceWatcher } from './resource-watcher.ts'
import { loadTypedStructs, mayHoldTypedStruct } from './resources/typed-struct.ts'
import type { XdsClientEvent, XdsClientStatus, XdsTypeStatus } from './xds-client-status.ts'
import type { XdsNode } from './xds-node.ts'
import type { XdsServer } from './xds-server.ts'

/** Options of {@link XdsClient}. */
export interface XdsClientOptions {
  readonly server: XdsServer
  readonly node: XdsNode
  readonly runtime: Runtime
  readonly transport: AdsTransport
  /** Servers to turn to, in order, while those before cannot be reached and something that is watched is not held (gRFC A71). */
  readonly fallbacks?: readonly XdsPlace[]
  /** Called before each stream. */
  readonly loadTypes: () => Promise<ResourceTypes>
  readonly onEvent?: (event: XdsClientEvent) => void
  /** Told which server answers, 0 being the first and the fallbacks after it, when a stream gets its first response. */
  readonly onServing?: (place: number) => void
}

/** A control plane, and the way to it. */
export interface XdsPlace {
  readonly server: XdsServer
  readonly transport: AdsTransport
}

interface Session {
  readonly stream: AdsStream
  readonly end: (outcome: SessionOutcome) => void
  connected: boolean
  answered: boolean
  nodeSent: boolean
  /** A response is being taken in; what it leads to goes out with its ACK. */
  applying: boolean
}

/** Why a session is over: something failed before the server answered, or there is no reason to wait. */
type SessionOutcome = { readonly kind: 'failed'; readonly error: Error } | { readonly kind: 'ended' | 'reopen' }

const unimplemented = 12
/** The order in which one kind leads to the next. */
const kinds: readonly ResourceKind[] = ['listener', 'routeConfiguration', 'cluster', 'clusterLoadAssignment']

/**
 * The one ADS stream of a process, kept open for as long as there is something to watch. Requests that are made in the same turn of
 * the event loop go out as one; a stream that fails is opened again with backoff, which starts over once a server has answered.
 */
export class XdsClient {
  readonly #options: XdsClientOptions
  readonly #subscriptions: { readonly [K in ResourceKind]: ResourceSubscription<ResourceModels[K]> }
  readonly #loop: ReconnectLoop
  /** NACKs that wait, by kind: a server that sends the same bad response again on every NACK would keep both busy. */
  readonly #held = new Map<ResourceKind, Timer>()
  readonly #repeats = new Map<ResourceKind, number>()
  readonly #places: readonly (XdsPlace & { protocol: XdsProtocol })[]
  /** The place that is spoken to, and that of the last stream. */
  #at = 0
  #lastAt = 0
  /** Ends the attempts to reach the first place while another serves. */
  #stopProbing: (() => void) | undefined
  #node: XdsNode
  /** Whether the server must know the node even if nothing is watched. */
  #announcing = false
  #session: Session | undefined
  #flushing = false
  #disconnectedSince: number | undefined
  #lastError: string | undefined

  constructor(options: XdsClientOptions) {
    this.#options = options
    this.#loop = new ReconnectLoop({
      runtime: options.runtime,
      name: 'xds: the client',
      converse: async () => this.#converse(await this.#loadTypes()),
      afterFailure: failures => this.#afterFailure(failures),
    })
    this.#node = options.node
    const { server, transport, fallbacks = [] } = options
    this.#places = [{ server, transport }, ...fallbacks].map(place => ({
      ...place,
      protocol: place.server.delta ? 'delta' : 'sotw',
    }))
    this.#disconnectedSince = options.runtime.clock.wallNow()
    const features = new Set(options.server.features)
    const timeoutIsTransient = features.has('resource_timer_is_transient_error')
    const store = {
      clock: options.runtime.clock,
      timeoutMs: timeoutIsTransient ? 30_000 : 15_000,
      timeoutIsTransient,
      dropOnDataError: features.has('fail_on_data_errors'),
    }
    const { protocol } = this.#place
    this.#subscriptions = {
      listener: new ResourceSubscription('listener', protocol, store),
      routeConfiguration: new ResourceSubscription('routeConfiguration', protocol, store),
      cluster: new ResourceSubscription('cluster', protocol, store),
      clusterLoadAssignment: new ResourceSubscription('clusterLoadAssignment', protocol, store),
    }
  }

  /** Subscribes to a resource. What is known is told before this returns. Returns what ends the watch. */
  watch<K extends ResourceKind>(kind: K, name: string, watcher: ResourceWatcher<ResourceModels[K]>): () => void {
    const subscription: ResourceSubscription<ResourceModels[K]> = this.#subscriptions[kind]
    const unwatch = subscription.store.watch(name, watcher)
    this.#loop.start()
    this.#flushSoon()
    return () => {
      unwatch()
      this.#flushSoon()
    }
  }

  /** Opens the stream again, on whatever connection its transport has then. */
  reopen(): void {
    this.#session?.end({ kind: 'reopen' })
  }

  /**
   * Changes who this process is. Servers read the node only when a stream begins, so the stream is opened again at once. What is
   * held stays, and nobody is told of an error.
   */
  announce(node: XdsNode): void {
    this.#node = node
    this.#announcing = true
    this.#loop.start()
    this.#session?.end({ kind: 'reopen' })
    this.#loop.wake()
  }

  status(): XdsClientStatus {
    const { listener, routeConfiguration, cluster, clusterLoadAssignment } = this.#subscriptions
    return {
      server: this.#place.server.uri,
      protocol: this.#place.protocol,
      connected: this.#session?.connected === true,
      disconnectedSince: this.#disconnectedSince,
      lastError: this.#lastError,
      types: {
        listener: typeStatus(listener),
        routeConfiguration: typeStatus(routeConfiguration),
        cluster: typeStatus(cluster),
        clusterLoadAssignment: typeStatus(clusterLoadAssignment),
      },
    }
  }

  /** What is known of a resource; `undefined` when it is not watched. */
  dump(kind: ResourceKind, name: string): ResourceDump | undefined {
    return this.#subscriptions[kind].store.dump(name)
  }

  /** The version of every resource held, by type URL and name. */
  versions(): Readonly<Record<string, Readonly<Record<string, string>>>> {
    return Object.fromEntries(kinds.map(kind => [this.#subscriptions[kind].typeUrl, this.#subscriptions[kind].store.versions()]))
  }

  /** Ends the stream and every timer. */
  close(): void {
    this.#loop.close()
    this.#session?.end({ kind: 'ended' })
    for (const timer of this.#held.values()) timer.cancel()
    for (const kind of kinds) this.#subscriptions[kind].store.stopTimers()
    this.#stopProbing?.()
    for (const { transport } of this.#places) transport.close()
  }

  get #place(): XdsPlace & { protocol: XdsProtocol } {
    const place = this.#places[this.#at]
    if (place === undefined) throw new RangeError(`there is no server ${this.#at}`)
    return place
  }

  /** Whether another server is turned to when this one fails (gRFC A71). */
  get #fallsBack(): boolean {
    return this.#at + 1 < this.#places.length && kinds.some(kind => this.#subscriptions[kind].store.lacksSome)
  }

  /** Another server at once, where something is lacking and one is left; else the first again, after a pause. */
  async #afterFailure(failures: number): Promise<void> {
    if (this.#fallsBack) {
      this.#at++
      return
    }
    this.#at = 0
    const rounds = Math.ceil(failures / this.#places.length)
    await this.#loop.pause(reconnectDelayMs(rounds, this.#options.runtime.random))
  }

  /** Goes back to the first server as soon as it can be reached. */
  #probe(session: Session): void {
    const { clock, random } = this.#options.runtime
    const [first] = this.#places
    if (first === undefined) return
    let failures = 0
    let stream: AdsStream | undefined
    let timer: Timer | undefined
    const later = () => {
      timer = clock.setTimeout(attempt, reconnectDelayMs(++failures, random))
    }
    const attempt = () => {
      stream = first.transport.open(first.protocol, {
        onConnected: () => {
          stop()
          if (session !== this.#session) return
          this.#at = 0
          session.end({ kind: 'reopen' })
        },
        onResponse: async () => {},
        onEnd: later,
      })
    }
    const stop = () => {
      timer?.cancel()
      stream?.cancel()
    }
    this.#stopProbing = stop
    later()
  }

  async #loadTypes(): Promise<ResourceTypes> {
    try {
      return await this.#options.loadTypes()
    } catch (error) {
      const text = `the xDS types cannot be loaded: ${error instanceof Error ? error.message : String(error)}`
      this.#tellFailure(text)
      // Not the error itself: p-retry gives up on some kinds.
      throw new Error(text, { cause: error })
    }
  }

  #tellFailure(text: string): void {
    if (this.#lastError !== text) this.#options.runtime.logger.warn(text)
    this.#lastError = text
    // Those who wait hear of it when there is nobody left to ask (gRFC A71).
    if (this.#fallsBack) return
    for (const kind of kinds) this.#subscriptions[kind].store.unreachable(text)
  }

  /** One stream from beginning to end. Rejects when it ended before the server said anything. */
  #converse(types: ResourceTypes): Promise<'ended' | 'reopen'> {
    return new Promise((resolve, reject) => {
      if (this.#loop.isClosed) return resolve('ended')
      const end = (outcome: SessionOutcome) => {
        if (this.#session !== session) return
        this.#session = undefined
        this.#stopProbing?.()
        this.#stopProbing = undefined
        session.stream.cancel()
        for (const kind of kinds) this.#subscriptions[kind].store.stopTimers()
        if (outcome.kind === 'failed') reject(outcome.error)
        else resolve(outcome.kind)
      }
      const { protocol, transport } = this.#place
      for (const kind of kinds) this.#subscriptions[kind].open(protocol, this.#at !== this.#lastAt)
      this.#lastAt = this.#at
      const stream = transport.open(protocol, {
        onConnected: () => this.#onConnected(session),
        onResponse: response => this.#onResponse(session, response, types),
        onEnd: status => this.#onEnd(session, status),
      })
      const session: Session = { stream, end, connected: false, answered: false, nodeSent: false, applying: false }
      this.#session = session
      if (this.#at > 0) this.#probe(session)
      this.#flush()
    })
  }

  #onConnected(session: Session): void {
    if (session !== this.#session) return
    session.connected = true
    if (this.#disconnectedSince !== undefined) {
      this.#disconnectedSince = undefined
      this.#options.onEvent?.({ kind: 'connected' })
    }
    // What was sent before is on its way only now (gRFC A57).
    for (const kind of kinds) {
      const { store } = this.#subscriptions[kind]
      store.startTimers(store.sweep())
    }
  }

  async #onResponse(session: Session, response: AdsResponse, types: ResourceTypes): Promise<void> {
    if (session !== this.#session) return
    if (!session.answered) {
      session.answered = true
      this.#lastError = undefined
      this.#options.onServing?.(this.#at)
      for (const kind of kinds) this.#subscriptions[kind].store.reachable()
    }
    const kind = kinds.find(each => this.#subscriptions[each].typeUrl === response.typeUrl)
    if (kind === undefined) {
      this.#options.runtime.logger.warn('xds: a response of a type that was not asked for', { typeUrl: response.typeUrl })
      return
    }
    await this.#apply(session, kind, response, types)
  }

  async #apply<K extends ResourceKind>(session: Session, kind: K, response: AdsResponse, types: ResourceTypes): Promise<void> {
    const subscription: ResourceSubscription<ResourceModels[K]> = this.#subscriptions[kind]
    const before = subscription.refusal
    session.applying = true
    if (response.resources.some(({ bytes }) => mayHoldTypedStruct(bytes))) await loadTypedStructs()
    const problems = await subscription.apply(response, types[kind])
    session.applying = false
    // A nonce is worth nothing on another stream.
    if (session !== this.#session) return
    subscription.respond(response, problems)
    this.#weighRefusal(kind, before, subscription.refusal, response)
    this.#flush()
  }

  #weighRefusal(
    kind: ResourceKind,
    before: string | undefined,
    refusal: string | undefined,
    { typeUrl, version }: AdsResponse,
  ): void {
    const { runtime, onEvent } = this.#options
    const isRepeated = refusal !== undefined && refusal === before
    const repeats = isRepeated ? (this.#repeats.get(kind) ?? 0) + 1 : 0
    this.#repeats.set(kind, repeats)
    this.#held.get(kind)?.cancel()
    this.#held.delete(kind)
    if (isRepeated) {
      const release = () => {
        this.#held.delete(kind)
        this.#flush()
      }
      this.#held.set(kind, runtime.clock.setTimeout(release, reconnectDelayMs(repeats, runtime.random)))
    } else if (refusal !== undefined) {
      runtime.logger.warn(`xds: refused, and what was in use before stays: ${refusal}`, { typeUrl, version })
      onEvent?.({ kind: 'nack', typeUrl, version, message: refusal })
    }
  }

  #onEnd(session: Session, { code, message }: XdsStreamStatus): void {
    if (session !== this.#session) return
    const { runtime, onEvent } = this.#options
    const place = this.#place
    const { server } = place
    if (code === unimplemented && place.protocol === 'delta' && !session.answered) {
      place.protocol = 'sotw'
      session.end({ kind: 'reopen' })
      return
    }
    const text = `control plane ${server.uri}: ${message || `the stream ended with status ${code}`} (node ${this.#node.id})`
    if (this.#disconnectedSince === undefined) {
      this.#disconnectedSince = runtime.clock.wallNow()
      onEvent?.({ kind: 'disconnected', message: text })
    }
    // That a stream ends which has done its work is no error (gRFC A57).
    if (session.answered) {
      session.end({ kind: 'ended' })
      return
    }
    session.end({ kind: 'failed', error: new Error(text) })
    this.#tellFailure(text)
  }

  /** Waits for the end of the turn, so that what is asked for together is sent together. */
  #flushSoon(): void {
    if (this.#flushing) return
    this.#flushing = true
    queueMicrotask(() => {
      this.#flushing = false
      this.#flush()
    })
  }

  #flush(): void {
    if (!this.#session || this.#session.applying) return
    for (const kind of kinds) this.#send(this.#session, kind)
    // The placeholder stands for the endpoints of no cluster, which every server can do without.
    if (this.#announcing && !this.#session.nodeSent) this.#send(this.#session, 'clusterLoadAssignment', '')
  }

  #send(session: Session, kind: ResourceKind, placeholder?: string): void {
    const subscription = this.#subscriptions[kind]
    if (this.#held.has(kind) && !subscription.differs) return
    const request = subscription.poll(placeholder)
    if (!request) return
    session.stream.send(request, session.nodeSent ? undefined : this.#node)
    session.nodeSent = true
    if (session.connected) subscription.store.startTimers(request.protocol === 'sotw' ? request.names : request.subscribe)
  }
}

function typeStatus({ version, nonce, refusal, store }: ResourceSubscription<unknown>): XdsTypeStatus {
  return { version, nonce, refusal, subscribed: store.sweep().size }
}
