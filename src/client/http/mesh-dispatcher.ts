import { LRUCache } from 'lru-cache'
import type { Dispatcher } from 'undici'
import { MeshError } from '../../errors.ts'
import type { DataPlane } from '../data-plane.ts'
import type { HostOwner, MeshHosts } from '../mesh-hosts.ts'
import { readHeader } from '../route-request.ts'
import type { Target } from '../target.ts'
import { headerSource, needsPreparing, prepareOptions } from './attempt-request.ts'
import { HttpExchange } from './http-exchange.ts'
import { type LegacyDispatchHandler, toDispatchHandler } from './legacy-handler.ts'
import { BaseDispatcher } from './undici.ts'

/** What becomes of a call to a host that is not the mesh's. */
export type OutboundPolicy =
  /** It goes to the previous dispatcher. */
  | 'allow-any'
  /** It is refused with `MESH_ERR_UNKNOWN_HOST`, flag `NR`, status 502; loopback is never refused. */
  | 'registry-only'

/** What a {@link MeshDispatcher} is made of. */
export interface MeshDispatcherOptions {
  readonly plane: DataPlane
  readonly hosts: MeshHosts
  readonly outboundPolicy: OutboundPolicy
  /** Takes what is not the mesh's. */
  readonly previous: Dispatcher
  /** Origins, and so watched authorities, remembered at once; default 1,000. The least recently called is forgotten. */
  readonly maxOrigins?: number
  /** How long a name that the control plane does not know is not asked for again; default 60,000. */
  readonly negativeTtlMs?: number
  /** Called by `close` and `destroy`. */
  readonly close: () => Promise<void>
}

/** What is known about an origin: worked out once. */
class Origin {
  readonly origin: string
  readonly scheme: string
  /** Host, with its port if it is not the scheme's default: what is watched, and the Host header unless the caller sends one. */
  readonly authority: string
  readonly owner: HostOwner
  readonly isLoopback: boolean
  target: Target | null = null
  /** When a probe without a result may be repeated. */
  probeAgainAt = 0

  constructor(origin: string, hosts: MeshHosts) {
    const url = new URL(origin)
    const hostname = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname
    const isHttps = url.protocol === 'https:'
    this.origin = origin
    this.scheme = isHttps ? 'https' : 'http'
    this.authority = url.host
    this.owner = hosts.owner(hostname, url.port === '' ? (isHttps ? '443' : '80') : url.port)
    this.isLoopback = hostname === 'localhost' || hostname === '::1' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
  }
}

/**
 * undici's `Dispatcher` over the mesh: for any undici API, and as the global dispatcher for Node's own `fetch`. It takes handlers of either
 * ABI. Calls to hosts outside the mesh reach the previous dispatcher synchronously and untouched.
 */
export class MeshDispatcher extends BaseDispatcher {
  readonly #plane: DataPlane
  readonly #hosts: MeshHosts
  readonly #isRegistryOnly: boolean
  readonly #previous: Dispatcher
  /** Takes what was the mesh's by guess, and turns out not to be. */
  readonly #outside: Dispatcher | null
  readonly #negativeTtlMs: number
  readonly #close: () => Promise<void>
  readonly #origins: LRUCache<string, Origin>
  /** Origins that share a watched authority. */
  readonly #watchers = new Map<string, number>()
  #lastKey: string | null = null
  #last: Origin | null = null

  constructor({
    plane,
    hosts,
    outboundPolicy,
    previous,
    maxOrigins = 1000,
    negativeTtlMs = 60_000,
    close,
  }: MeshDispatcherOptions) {
    super()
    this.#plane = plane
    this.#hosts = hosts
    this.#isRegistryOnly = outboundPolicy === 'registry-only'
    this.#previous = previous
    this.#outside = this.#isRegistryOnly || !hosts.guesses ? null : previous
    this.#negativeTtlMs = negativeTtlMs
    this.#close = close
    this.#origins = new LRUCache<string, Origin>({ max: maxOrigins, dispose: origin => this.#forget(origin) })
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler | LegacyDispatchHandler): boolean {
    const key = typeof options.origin === 'string' ? options.origin : options.origin?.origin
    const origin = key !== undefined && key === this.#lastKey ? this.#last : this.#find(key)
    const target = origin === null ? null : this.#targetOf(origin)
    const current = toDispatchHandler(handler)
    if (origin === null || target === null) {
      if (this.#isRegistryOnly && origin?.isLoopback === false) return refuse(origin, current)
      return this.#previous.dispatch(options, current)
    }
    const prepared = needsPreparing(options) ? prepareOptions(options) : options
    const host = readHeader(headerSource(prepared), 'host')
    const authority = typeof host === 'string' ? host : origin.authority
    new HttpExchange(
      this.#plane.environment,
      target,
      origin.origin,
      origin.scheme,
      authority,
      prepared,
      current,
      this.#outside,
    ).begin()
    return true
  }

  /** Watches an authority for as long as the mesh lives, whether it is called or not. */
  watch(authority: string): Target {
    this.#watchers.set(authority, (this.#watchers.get(authority) ?? 0) + 1)
    return this.#plane.watch(authority, 'http')
  }

  /** Why calls to an origin go through the mesh or past it. */
  ownerOf(origin: string): { readonly owner: HostOwner; readonly authority: string; readonly target: Target | null } | null {
    const found = this.#find(origin)
    return found === null ? null : { owner: found.owner, authority: found.authority, target: this.#targetOf(found) }
  }

  override close(callback?: () => void): Promise<void> {
    const closed = this.#close()
    if (callback !== undefined) closed.then(callback, callback)
    return closed
  }

  override destroy(error?: Error | null | (() => void), callback?: () => void): Promise<void> {
    return this.close(typeof error === 'function' ? error : callback)
  }

  /** Receive limits of WebSocket and EventSource are read off the global dispatcher. */
  get webSocketOptions(): unknown {
    return 'webSocketOptions' in this.#previous ? this.#previous.webSocketOptions : undefined
  }

  get eventSourceOptions(): unknown {
    return 'eventSourceOptions' in this.#previous ? this.#previous.eventSourceOptions : undefined
  }

  #find(key: string | undefined): Origin | null {
    if (key === undefined) return null
    let origin = this.#origins.get(key)
    if (origin === undefined) {
      if (!URL.canParse(key)) return null
      origin = new Origin(key, this.#hosts)
      if (origin.owner !== 'outside') this.#watch(origin)
      this.#origins.set(key, origin)
    }
    this.#lastKey = key
    this.#last = origin
    return origin
  }

  /** The target that a call goes to, or `null` when it goes past the mesh. */
  #targetOf(origin: Origin): Target | null {
    const { target } = origin
    if (target === null || origin.owner === 'mesh') return target
    if (target.router !== null) return target.router.findVirtualHost(origin.authority) === null ? null : target
    if (target.failure !== null) this.#probeAgain(origin, target)
    // Only where nothing unknown may pass must an unresolved name be waited for.
    return this.#isRegistryOnly ? origin.target : null
  }

  #probeAgain(origin: Origin, target: Target): void {
    const now = this.#plane.environment.clock.now()
    if (origin.probeAgainAt === 0) {
      origin.probeAgainAt = now + this.#negativeTtlMs
    } else if (now >= origin.probeAgainAt && this.#watchers.get(target.authority) === 1) {
      origin.probeAgainAt = 0
      this.#plane.unwatch(target.authority)
      origin.target = this.#plane.watch(origin.authority, origin.scheme)
    }
  }

  #watch(origin: Origin): void {
    this.#watchers.set(origin.authority, (this.#watchers.get(origin.authority) ?? 0) + 1)
    origin.target = this.#plane.watch(origin.authority, origin.scheme)
  }

  #forget(origin: Origin): void {
    if (this.#last === origin) {
      this.#last = null
      this.#lastKey = null
    }
    if (origin.target === null) return
    const left = (this.#watchers.get(origin.authority) ?? 1) - 1
    if (left > 0) {
      this.#watchers.set(origin.authority, left)
    } else {
      this.#watchers.delete(origin.authority)
      this.#plane.unwatch(origin.authority)
    }
  }
}

function refuse(origin: Origin, handler: Dispatcher.DispatchHandler): boolean {
  const message = `host ${origin.authority}: not in the mesh, and the outbound policy is registry-only`
  const error = new MeshError('MESH_ERR_UNKNOWN_HOST', message, { flag: 'NR', statusCode: 502 })
  const controller: Dispatcher.DispatchController = {
    aborted: true,
    paused: false,
    reason: error,
    abort() {},
    pause() {},
    resume() {},
  }
  queueMicrotask(() => {
    handler.onRequestStart?.(controller, null)
    handler.onResponseError?.(controller, error)
  })
  return true
}
