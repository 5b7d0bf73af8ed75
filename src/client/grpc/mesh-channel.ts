import type { ChannelCredentials, ChannelInterface, ChannelOptions, Deadline } from '@grpc/grpc-js'
import { parseGrpcTarget } from '../../discovery/grpc-target.ts'
import { parseTargetName, targetUri } from '../../discovery/target-name.ts'
import type { DataPlane } from '../data-plane.ts'
import type { PendingQueue } from '../pending-queue.ts'
import type { Target } from '../target.ts'
import type { ChannelProfile } from './endpoint-channel.ts'
import { type Call, GrpcExchange } from './grpc-exchange.ts'
import { grpcJs, ordinaryChannel } from './grpc-js.ts'

/** Options of {@link MeshChannel}. */
export interface MeshChannelOptions {
  /** Used where the cluster configures no TLS; their call credentials are used everywhere. Default insecure. */
  readonly credentials?: ChannelCredentials
  /** grpc-js's own: message size limits, compression, user agent. What the mesh does itself (retries, service config, look-up) is ignored. */
  readonly options?: ChannelOptions
}

type ConnectivityState = ReturnType<ChannelInterface['getConnectivityState']>
type ParentCall = Parameters<ChannelInterface['createCall']>[3]

interface StateWatcher {
  readonly from: ConnectivityState
  readonly callback: (error?: Error) => void
  timer: NodeJS.Timeout | null
}

/**
 * A gRPC channel whose calls go through the mesh: for the option `channelOverride` of every grpc-js client. Each call is routed and balanced
 * by itself, on the ordinary channels of the endpoints.
 */
export class MeshChannel implements ChannelInterface, ChannelProfile {
  readonly credentials: ChannelCredentials
  readonly options: ChannelOptions
  /** Of the target, unless the options name another one: what calls are routed by (gRFC A28), and addressed to if they name none. */
  readonly authority: string
  readonly channelId: string
  readonly #plane: DataPlane
  readonly #watched: string
  readonly #target: Target
  readonly #watchers = new Set<StateWatcher>()
  readonly #unsubscribe: () => void
  /** The endpoint whose connection stands for the channel's. */
  #probe: ChannelInterface | null = null
  #followed: ChannelInterface | null = null
  #channelz: ChannelInterface | null = null
  #isClosed = false

  /** @param watch makes the plane follow what is named as in {@link parseTargetName} */
  constructor(
    plane: DataPlane,
    watch: (authority: string) => Target,
    target: string,
    { credentials, options = {} }: MeshChannelOptions = {},
  ) {
    this.credentials = credentials ?? grpcJs().credentials.createInsecure()
    this.options = options
    this.#watched = watchedNameOf(target)
    this.authority = options['grpc.default_authority'] ?? parseTargetName(this.#watched).authority
    this.channelId = String(Math.floor(plane.environment.random() * 2 ** 53))
    this.#plane = plane
    this.#target = watch(this.#watched)
    this.#unsubscribe = plane.onChange(() => this.#tellWatchers())
  }

  createCall(
    method: string,
    deadline: Deadline,
    host: string | null | undefined,
    parentCall: ParentCall,
    propagateFlags: number | null | undefined,
  ): Call {
    if (this.#isClosed) throw new Error('Channel has been shut down')
    return new GrpcExchange(this.#plane.environment, this.#target, this.authority, this, {
      method,
      host: typeof host === 'string' && host !== '' ? host : null,
      deadline,
      parentCall,
      propagateFlags,
    })
  }

  getTarget(): string {
    return targetUri(this.#watched)
  }

  /**
   * READY when an endpoint of the route that takes everything is connected; CONNECTING while there is no configuration, or no connection yet;
   * TRANSIENT_FAILURE when there is none to be had.
   */
  getConnectivityState(tryToConnect: boolean): ConnectivityState {
    const { connectivityState } = grpcJs()
    if (this.#isClosed) return connectivityState.SHUTDOWN
    if (this.#target.failure !== null) return connectivityState.TRANSIENT_FAILURE
    if (this.#target.router === null) return connectivityState.CONNECTING
    const known = this.#probe?.getConnectivityState(tryToConnect) ?? connectivityState.IDLE
    if (known === connectivityState.READY || known === connectivityState.CONNECTING) return known
    if (!tryToConnect) return known === connectivityState.SHUTDOWN ? connectivityState.IDLE : known
    const probe = this.#findProbe()
    if (probe === null) return connectivityState.TRANSIENT_FAILURE
    this.#probe = probe
    this.#follow()
    return probe.getConnectivityState(true)
  }

  watchConnectivityState(currentState: ConnectivityState, deadline: Date | number, callback: (error?: Error) => void): void {
    if (this.#isClosed) throw new Error('Channel has been shut down')
    const watcher: StateWatcher = { from: currentState, callback, timer: null }
    const at = deadline instanceof Date ? deadline.getTime() : deadline
    if (at !== Number.POSITIVE_INFINITY) {
      const late = () => {
        this.#watchers.delete(watcher)
        callback(new Error('Deadline passed without connectivity state change'))
      }
      watcher.timer = setTimeout(late, Math.min(Math.max(0, at - Date.now()), 0x7fffffff))
    }
    this.#watchers.add(watcher)
    this.#follow()
    if (this.getConnectivityState(false) !== currentState) process.nextTick(() => this.#tellWatchers())
  }

  /** Of a channel to the same authority that never connects: grpc-js alone can register one. */
  getChannelzRef(): ReturnType<ChannelInterface['getChannelzRef']> {
    const Channel = ordinaryChannel()
    this.#channelz ??= new Channel(`dns:${this.authority}`, grpcJs().credentials.createInsecure(), {})
    return this.#channelz.getChannelzRef()
  }

  /** What is on a connection goes on; what waits for one ends. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#unsubscribe()
    this.#channelz?.close()
    this.#endWaits(this.#target.pending)
    for (const cluster of this.#plane.clusters.values()) {
      if (cluster.resolving !== null) this.#endWaits(cluster.resolving)
      for (const { used } of cluster.endpoints()) used?.grpc?.release(this)
    }
    this.#tellWatchers()
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  #endWaits(queue: PendingQueue): void {
    for (const waiter of queue.waiters()) if (waiter instanceof GrpcExchange) waiter.channelClosed(this)
  }

  #findProbe(): ChannelInterface | null {
    const { random } = this.#plane.environment
    const request = { authority: this.authority, method: 'POST', path: '/', scheme: 'http', header: () => undefined }
    const route = this.#target.router?.match(request, random()) ?? null
    if (route === null || route.action.kind !== 'forward') return this.#probe
    const cluster = route.action.forward.pickTarget(request, random())?.attachment?.cluster()
    const endpoint = cluster?.pick({ hash: null, random }, null, 0)
    return endpoint?.grpc.get(this, this.authority) ?? null
  }

  /** Looks at the probe for as long as somebody watches. */
  #follow(): void {
    const probe = this.#probe
    if (probe === null || probe === this.#followed || this.#isClosed || this.#watchers.size === 0) return
    const state = probe.getConnectivityState(false)
    // Its endpoint has left: whoever wants to be connected looks for another one.
    if (state === grpcJs().connectivityState.SHUTDOWN) return
    this.#followed = probe
    probe.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => {
      if (this.#followed === probe) this.#followed = null
      if (this.#probe === probe) this.#tellWatchers()
      this.#follow()
    })
  }

  #tellWatchers(): void {
    const state = this.getConnectivityState(false)
    for (const watcher of [...this.#watchers]) {
      if (watcher.from === state) continue
      this.#watchers.delete(watcher)
      if (watcher.timer !== null) clearTimeout(watcher.timer)
      watcher.callback()
    }
  }
}

/** The authority that calls to a target have: see {@link watchedNameOf}. */
export function authorityOf(target: string): string {
  return parseTargetName(watchedNameOf(target)).authority
}

/** What a target has the mesh watch: `xds:///name`, `xds://authority/name` (gRFC A47), `dns:///host:port`, `host:port`. */
function watchedNameOf(target: string): string {
  if (/^xds:\/\/[^/]/.test(target)) return target
  const xds = /^xds:(?:\/\/\/)?(.+)$/.exec(target)
  if (xds?.[1] !== undefined) return xds[1]
  return target.includes(':/') || target.startsWith('dns:') ? parseGrpcTarget(target).authority : target
}
