import { DomainTable, withoutPort } from '../policies/domain-table.ts'
import { AmbientErrors } from './ambient-errors.ts'
import { type InboundListener, isInboundListener } from './model/inbound-listener.ts'
import type { Listener } from './model/listener.ts'
import type { TargetState } from './model/mesh-config.ts'
import type { RouteConfiguration, VirtualHost } from './model/route.ts'
import type { ResourceKey, ResourceSource } from './resource-source.ts'
import type { StatusOr } from './resource-watcher.ts'

/** The route configuration that the listener names. */
interface RouteWatch {
  readonly name: string
  unwatch: () => void
  result: StatusOr<RouteConfiguration> | undefined
}

/** An authority's own part of the tree, from its LDS and RDS resources. */
export class TargetNode {
  readonly authority: string
  /** The newest that the control plane says, whether or not its clusters are resolved; `undefined` while that is not known. */
  candidate: TargetState | undefined
  /** The clusters that {@link candidate} leads to. */
  candidateClusters: readonly string[] = []
  /** What is wrong although what is in use stays in use. */
  readonly ambient = new AmbientErrors()
  readonly #listenerNames: readonly string[]
  readonly #source: ResourceSource
  readonly #onChange: () => void
  /** By name, best first; `undefined` while unknown. */
  readonly #listeners: (StatusOr<Listener> | undefined)[]
  readonly #unwatchListeners: readonly (() => void)[]
  #routes: RouteWatch | undefined
  #isClosed = false

  constructor(authority: string, listenerNames: readonly string[], source: ResourceSource, onChange: () => void) {
    this.authority = authority
    this.#listenerNames = listenerNames
    this.#source = source
    this.#onChange = onChange
    this.#listeners = listenerNames.map(() => undefined)
    this.#unwatchListeners = listenerNames.map((name, index) =>
      this.ambient.watch(source, 'listener', name, result => {
        this.#listeners[index] = asClients(name, result)
        this.#resolve()
      }),
    )
  }

  /** What it watches. */
  get resources(): readonly ResourceKey[] {
    const listeners = this.#listenerNames.map(name => ({ kind: 'listener', name }) as const)
    return this.#routes === undefined ? listeners : [...listeners, { kind: 'routeConfiguration', name: this.#routes.name }]
  }

  close(): void {
    this.#isClosed = true
    for (const unwatch of this.#unwatchListeners) unwatch()
    this.#routes?.unwatch()
  }

  /** The first listener that is there counts. At first, none is once that is said of all; a listener that was in use is gone at once. */
  #resolve(): void {
    if (this.#isClosed) return
    const best = this.#listeners.find(result => result?.ok)
    if (best?.ok) {
      this.#useListener(best.value)
      return
    }
    const missing = this.#listeners.find(result => result !== undefined)
    if (!missing || missing.ok || (this.candidate === undefined && this.#listeners.includes(undefined))) return
    this.#watchRoutes(undefined)
    this.#set({ kind: 'failed', ...missing.error })
  }

  #useListener(listener: Listener): void {
    const { routes } = listener.http
    if (routes.kind === 'inline') {
      this.#watchRoutes(undefined)
      this.#setReady(listener, routes.routeConfiguration)
      return
    }
    this.#watchRoutes(routes.routeConfigName)
    const result = this.#routes?.result
    if (result?.ok) this.#setReady(listener, result.value)
    else if (result) this.#set({ kind: 'failed', ...result.error })
  }

  #watchRoutes(name: string | undefined): void {
    const previous = this.#routes
    if (previous?.name === name) return
    this.#routes = undefined
    if (name !== undefined) this.#routes = this.#newRoutes(name)
    previous?.unwatch()
  }

  #newRoutes(name: string): RouteWatch {
    const routes: RouteWatch = { name, unwatch: () => {}, result: undefined }
    routes.unwatch = this.ambient.watch(this.#source, 'routeConfiguration', name, result => {
      routes.result = result
      if (this.#routes === routes) this.#resolve()
    })
    return routes
  }

  #setReady(listener: Listener, routeConfiguration: RouteConfiguration): void {
    if (isSame(this.candidate, listener, routeConfiguration)) return
    this.candidateClusters = clustersOf(routeConfiguration, this.authority)
    this.#set({ kind: 'ready', listener, routeConfiguration })
  }

  #set(candidate: TargetState): void {
    this.candidate = candidate
    if (candidate.kind === 'failed') this.candidateClusters = []
    this.#onChange()
  }
}

/** A name can be a client's or a server's, and not both. */
function asClients(name: string, result: StatusOr<Listener | InboundListener>): StatusOr<Listener> {
  if (!result.ok) return result
  const { value } = result
  if (!isInboundListener(value)) return { ok: true, value }
  return { ok: false, error: { reason: 'invalid', message: `Listener ${JSON.stringify(name)}: is a server's` } }
}

/** The clusters that the virtual host of `authority` names. A cluster chosen by a request's header has no name yet. */
export function clustersOf(routeConfiguration: RouteConfiguration, authority: string): readonly string[] {
  const domains = new DomainTable<VirtualHost>()
  for (const virtualHost of routeConfiguration.virtualHosts) {
    for (const domain of virtualHost.domains) domains.add(domain, virtualHost)
  }
  const host = routeConfiguration.ignorePortInHostMatching ? withoutPort(authority) : authority
  const names = new Set<string>()
  for (const { action } of domains.find(host)?.routes ?? []) {
    if (action.kind !== 'forward') continue
    if (action.clusters.kind === 'cluster') names.add(action.clusters.name)
    else if (action.clusters.kind === 'weighted') for (const { name } of action.clusters.clusters) names.add(name)
    for (const { cluster } of action.mirrors) names.add(cluster)
  }
  return [...names]
}

function isSame(state: TargetState | undefined, listener: Listener, routeConfiguration: RouteConfiguration): boolean {
  return state?.kind === 'ready' && state.listener === listener && state.routeConfiguration === routeConfiguration
}
