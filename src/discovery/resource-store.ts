import type { Clock, Timer } from '../runtime.ts'
import type { ResourceDump, ResourceStatus, UpdateFailure } from './resource-status.ts'
import type { ResourceError, ResourceWatcher, StatusOr } from './resource-watcher.ts'

/** Options of a {@link ResourceStore}. */
export interface ResourceStoreOptions {
  /** What a resource is called in messages, such as `Cluster`. */
  readonly kind: string
  readonly clock: Clock
  /** How long a connected server may stay silent about a resource: 15,000 (gRFC A57), or 30,000 when that is transient (A88). */
  readonly timeoutMs: number
  /** `resource_timer_is_transient_error`: silence means that the server is unavailable, not that there is no resource. */
  readonly timeoutIsTransient: boolean
  /** `fail_on_data_errors`: a deletion or a bad update ends the use of the resource held (gRFC A88). */
  readonly dropOnDataError: boolean
}

type State<T> =
  | { readonly kind: 'requested' }
  | { readonly kind: 'cached'; readonly value: T; readonly bytes: Uint8Array; readonly version: string }
  | { readonly kind: 'failed'; readonly error: ResourceError }

interface Entry<T> {
  readonly watchers: Set<ResourceWatcher<T>>
  state: State<T>
  /** What is wrong although `state` is `cached`. */
  ambient: ResourceError | undefined
  timer: Timer | undefined
  /** What was last heard of it. That nobody can be asked says nothing of it. */
  status: ResourceStatus
  updatedAt: number | undefined
  failure: UpdateFailure | undefined
}

/** What is known of all watched resources of one type, by name. One subscription, however many watch. */
export class ResourceStore<T> {
  readonly #options: ResourceStoreOptions
  readonly #entries = new Map<string, Entry<T>>()

  constructor(options: ResourceStoreOptions) {
    this.#options = options
  }

  /** Tells `watcher` at once what is known. Returns what ends the watch. */
  watch(name: string, watcher: ResourceWatcher<T>): () => void {
    const entry = this.#entries.get(name) ?? this.#add(name)
    entry.watchers.add(watcher)
    if (entry.state.kind !== 'requested') watcher.onResourceChanged(resultOf(entry.state))
    if (entry.ambient) watcher.onAmbientError(entry.ambient)
    return () => entry.watchers.delete(watcher)
  }

  #add(name: string): Entry<T> {
    const entry: Entry<T> = {
      watchers: new Set(),
      state: { kind: 'requested' },
      ambient: undefined,
      timer: undefined,
      status: 'requested',
      updatedAt: undefined,
      failure: undefined,
    }
    this.#entries.set(name, entry)
    return entry
  }

  has(name: string): boolean {
    return this.#entries.has(name)
  }

  /** Forgets what nobody watches, and names the rest. Not done when a watch ends: the next may begin at once, and would ask in vain. */
  sweep(): ReadonlySet<string> {
    for (const [name, entry] of this.#entries) {
      if (entry.watchers.size > 0) continue
      entry.timer?.cancel()
      this.#entries.delete(name)
    }
    return new Set(this.#entries.keys())
  }

  /** The version of the resource held, if one is. */
  versionOf(name: string): string | undefined {
    const state = this.#entries.get(name)?.state
    return state?.kind === 'cached' ? state.version : undefined
  }

  /** The version of every resource held, by name. */
  versions(): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.cachedNames()].map(name => [name, this.versionOf(name) ?? '']))
  }

  /** The resource held, if one is. */
  held(name: string): T | undefined {
    const state = this.#entries.get(name)?.state
    return state?.kind === 'cached' ? state.value : undefined
  }

  /** What is known of a resource that is watched; `undefined` of others. */
  dump(name: string): ResourceDump | undefined {
    const entry = this.#entries.get(name)
    if (entry === undefined) return undefined
    const { state, status, updatedAt, failure } = entry
    return { name, status, held: state.kind === 'cached' ? state : undefined, updatedAt, failure }
  }

  /** Whether these are the bytes of the resource held. Bytes, since decoded resources that differ can look alike. */
  holds(name: string, bytes: Uint8Array): boolean {
    const state = this.#entries.get(name)?.state
    return state?.kind === 'cached' && Buffer.compare(state.bytes, bytes) === 0
  }

  /** Whether something is watched that is not held. */
  get lacksSome(): boolean {
    for (const { state, watchers } of this.#entries.values()) if (watchers.size > 0 && state.kind !== 'cached') return true
    return false
  }

  /** The names of what is held. */
  *cachedNames(): Generator<string> {
    for (const [name, { state }] of this.#entries) if (state.kind === 'cached') yield name
  }

  /** A connected server was asked for these (gRFC A57). */
  startTimers(names: Iterable<string>): void {
    const { clock, timeoutMs } = this.#options
    for (const name of names) {
      const entry = this.#entries.get(name)
      if (!entry || entry.timer || !awaitsAnswer(entry.state)) continue
      entry.timer = clock.setTimeout(() => this.#timeOut(name, entry), timeoutMs)
    }
  }

  /** The stream ended, and with it every reason to expect an answer. */
  stopTimers(): void {
    for (const entry of this.#entries.values()) stopTimer(entry)
  }

  /** A good resource arrived. */
  accept(name: string, value: T, bytes: Uint8Array, version: string): void {
    const entry = this.#entries.get(name)
    if (!entry) return
    stopTimer(entry)
    entry.state = { kind: 'cached', value, bytes, version }
    entry.ambient = undefined
    this.#setAcked(entry)
    notify(entry, watcher => watcher.onResourceChanged({ ok: true, value }))
  }

  /** The resource held arrived again. */
  keep(name: string, version: string): void {
    const entry = this.#entries.get(name)
    if (entry?.state.kind !== 'cached') return
    entry.state = { ...entry.state, version }
    this.#setAcked(entry)
    clearAmbient(entry)
  }

  /**
   * A bad resource arrived, and was refused.
   *
   * @param version of the one that was refused
   */
  refuse(name: string, message: string, version = ''): void {
    this.#setFailed(name, 'nacked', message, version)
    this.#dataError(name, { reason: 'invalid', message })
  }

  /**
   * The server says that there is no such resource.
   *
   * @param version of the response that says so
   */
  remove(name: string, version = ''): void {
    this.#setFailed(name, 'does-not-exist', notThere, version)
    this.#doesNotExist(name, notThere)
  }

  /** The server says why there is no such resource for this client (gRFC A88). */
  deny(name: string, detail: string, version = ''): void {
    this.#setFailed(name, 'received-error', detail, version)
    this.#doesNotExist(name, detail === '' ? notThere : detail)
  }

  /** The server cannot tell for now (gRFC A88). */
  unavailable(name: string, detail: string, version = ''): void {
    const entry = this.#entries.get(name)
    if (!entry) return
    this.#setFailed(name, 'received-error', detail, version)
    this.#transientError(entry, { reason: 'unavailable', message: `${this.#describe(name)}: ${detail}` })
  }

  /** No server can be asked. */
  unreachable(message: string): void {
    for (const entry of [...this.#entries.values()]) this.#transientError(entry, { reason: 'unavailable', message })
  }

  /** A server answers again. */
  reachable(): void {
    for (const entry of [...this.#entries.values()]) if (entry.ambient?.reason === 'unavailable') clearAmbient(entry)
  }

  #timeOut(name: string, entry: Entry<T>): void {
    entry.timer = undefined
    const { timeoutMs, timeoutIsTransient } = this.#options
    const silence = `the control plane said nothing of it for ${timeoutMs / 1000} s`
    entry.status = timeoutIsTransient ? 'timeout' : 'does-not-exist'
    entry.failure = { version: '', details: silence, at: undefined }
    const message = `${this.#describe(name)}: ${silence}`
    fail(entry, { reason: timeoutIsTransient ? 'unavailable' : 'does-not-exist', message })
  }

  #doesNotExist(name: string, detail: string): void {
    this.#dataError(name, { reason: 'does-not-exist', message: `${this.#describe(name)}: ${detail}` })
  }

  #dataError(name: string, error: ResourceError): void {
    const entry = this.#entries.get(name)
    if (!entry) return
    stopTimer(entry)
    if (entry.state.kind === 'cached' && !this.#options.dropOnDataError) setAmbient(entry, error)
    else fail(entry, error)
  }

  #transientError(entry: Entry<T>, error: ResourceError): void {
    if (entry.state.kind === 'cached') {
      // It would hide that the resource is bad or gone, and clear too soon.
      if (!entry.ambient || entry.ambient.reason === 'unavailable') setAmbient(entry, error)
    } else if (awaitsAnswer(entry.state)) {
      stopTimer(entry)
      fail(entry, error)
    }
  }

  #setAcked(entry: Entry<T>): void {
    entry.status = 'acked'
    entry.updatedAt = this.#options.clock.wallNow()
    entry.failure = undefined
  }

  #setFailed(name: string, status: ResourceStatus, details: string, version: string): void {
    const entry = this.#entries.get(name)
    if (!entry) return
    entry.status = status
    entry.failure = { version, details, at: this.#options.clock.wallNow() }
  }

  #describe(name: string): string {
    return `${this.#options.kind} ${JSON.stringify(name)}`
  }
}

const notThere = 'the control plane does not have it'

function awaitsAnswer(state: State<unknown>): boolean {
  return state.kind === 'requested' || (state.kind === 'failed' && state.error.reason === 'unavailable')
}

function resultOf<T>(state: Exclude<State<T>, { kind: 'requested' }>): StatusOr<T> {
  return state.kind === 'cached' ? { ok: true, value: state.value } : { ok: false, error: state.error }
}

function fail<T>(entry: Entry<T>, error: ResourceError): void {
  if (entry.state.kind === 'failed' && sameError(entry.state.error, error)) return
  // Nothing of what was held is kept: the same resource must count as new when it comes back.
  entry.state = { kind: 'failed', error }
  entry.ambient = undefined
  notify(entry, watcher => watcher.onResourceChanged({ ok: false, error }))
}

function setAmbient<T>(entry: Entry<T>, error: ResourceError): void {
  if (entry.ambient && sameError(entry.ambient, error)) return
  entry.ambient = error
  notify(entry, watcher => watcher.onAmbientError(error))
}

function clearAmbient<T>(entry: Entry<T>): void {
  if (!entry.ambient) return
  entry.ambient = undefined
  notify(entry, watcher => watcher.onAmbientError(undefined))
}

function stopTimer(entry: Entry<unknown>): void {
  entry.timer?.cancel()
  entry.timer = undefined
}

function notify<T>(entry: Entry<T>, tell: (watcher: ResourceWatcher<T>) => void): void {
  for (const watcher of [...entry.watchers]) if (entry.watchers.has(watcher)) tell(watcher)
}

function sameError(one: ResourceError, other: ResourceError): boolean {
  return one.reason === other.reason && one.message === other.message
}
