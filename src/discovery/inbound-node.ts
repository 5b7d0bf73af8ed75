import { AmbientErrors } from './ambient-errors.ts'
import { type InboundListener, isInboundListener } from './model/inbound-listener.ts'
import type { InboundRoutes, InboundState } from './model/mesh-config.ts'
import type { ResourceKey, ResourceSource } from './resource-source.ts'
import type { ResourceError } from './resource-watcher.ts'

interface RouteWatch {
  readonly unwatch: () => void
  state: InboundRoutes | undefined
}

/** The listener of a server of this process, with the routes that it names (gRFC A36). */
export class InboundNode {
  readonly name: string
  /** The newest of which everything is resolved; `undefined` while there is none. */
  published: InboundState | undefined
  /** What is wrong although what is in use stays in use. */
  readonly ambient = new AmbientErrors()
  readonly #source: ResourceSource
  readonly #onChange: () => void
  readonly #unwatch: () => void
  readonly #routes = new Map<string, RouteWatch>()
  #listener: InboundListener | undefined
  #isClosed = false

  /** @param stale of an earlier life, in use until the control plane says something */
  constructor(name: string, stale: InboundState | undefined, source: ResourceSource, onChange: () => void) {
    this.name = name
    this.published = stale
    this.#source = source
    this.#onChange = onChange
    this.#unwatch = this.ambient.watch(source, 'listener', name, result => {
      if (!result.ok) this.#fail(result.error)
      else if (isInboundListener(result.value)) this.#use(result.value)
      else this.#fail({ reason: 'invalid', message: `Listener ${JSON.stringify(name)}: is a client's` })
    })
  }

  /** What it watches. */
  get resources(): readonly ResourceKey[] {
    const routes = Array.from(this.#routes.keys(), name => ({ kind: 'routeConfiguration', name }) as const)
    return [{ kind: 'listener', name: this.name }, ...routes]
  }

  close(): void {
    this.#isClosed = true
    this.#unwatch()
    for (const { unwatch } of this.#routes.values()) unwatch()
  }

  #fail(error: ResourceError): void {
    this.#listener = undefined
    // A port is not left unprotected, nor closed, because nobody can be asked.
    if (error.reason === 'unavailable' && this.published?.kind === 'ready') return
    this.#publish({ kind: 'failed', ...error })
  }

  #use(listener: InboundListener): void {
    this.#listener = listener
    const wanted = routeNamesOf(listener)
    for (const name of wanted) if (!this.#routes.has(name)) this.#watchRoutes(name)
    for (const [name, { unwatch }] of this.#routes) {
      if (wanted.has(name)) continue
      this.#routes.delete(name)
      unwatch()
    }
    this.#resolve()
  }

  #watchRoutes(name: string): void {
    const watch: { unwatch: () => void; state: InboundRoutes | undefined } = { unwatch: () => {}, state: undefined }
    this.#routes.set(name, watch)
    watch.unwatch = this.ambient.watch(this.#source, 'routeConfiguration', name, result => {
      if (result.ok) watch.state = { kind: 'ready', routeConfiguration: result.value }
      else if (result.error.reason !== 'unavailable' || watch.state === undefined)
        watch.state = { kind: 'failed', ...result.error }
      if (this.#routes.get(name) === watch) this.#resolve()
    })
  }

  #resolve(): void {
    const listener = this.#listener
    if (listener === undefined || this.#isClosed) return
    const routeConfigurations = new Map<string, InboundRoutes>()
    for (const [name, { state }] of this.#routes) {
      if (state === undefined) return
      routeConfigurations.set(name, state)
    }
    this.#publish({ kind: 'ready', listener, routeConfigurations })
  }

  #publish(state: InboundState): void {
    if (this.#isClosed) return
    this.published = state
    this.#onChange()
  }
}

/** The clusters that the filters of a server ask. */
export function clustersOfInbound(state: InboundState | undefined): readonly string[] {
  if (state?.kind !== 'ready') return []
  const { filterChains, defaultFilterChain } = state.listener
  const chains = defaultFilterChain === undefined ? filterChains : [...filterChains, defaultFilterChain]
  const filters = chains.flatMap(({ http }) => http.filters)
  return [...new Set(filters.flatMap(({ config }) => (config.kind === 'ext-authz' ? [config.extAuthz.authorizer.cluster] : [])))]
}

function routeNamesOf({ filterChains, defaultFilterChain }: InboundListener): ReadonlySet<string> {
  const chains = defaultFilterChain === undefined ? filterChains : [...filterChains, defaultFilterChain]
  return new Set(chains.flatMap(({ http: { routes } }) => (routes.kind === 'rds' ? [routes.routeConfigName] : [])))
}
