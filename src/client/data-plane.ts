import type { HttpConnectionManager } from '../discovery/model/listener.ts'
import type { ConfigSource, FailureReason, MeshConfig, TargetState } from '../discovery/model/mesh-config.ts'
import { emptyMeshConfig } from '../discovery/model/mesh-config.ts'
import type { RouteConfiguration } from '../discovery/model/route.ts'
import { MeshError } from '../errors.ts'
import type { Logger } from '../runtime.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { ClusterManager } from './cluster-manager.ts'
import { plainListener, routesToCluster } from './cluster-route.ts'
import { channels } from './diagnostics.ts'
import type { ExchangeEnvironment } from './exchange-record.ts'
import { PendingLimit } from './pending-queue.ts'
import { ClusterPlan, type MeshRouter, RoutePlan } from './route-plan.ts'
import { Router } from './router.ts'
import { Target } from './target.ts'

/** What a {@link DataPlane} is made of. */
export interface DataPlaneOptions {
  readonly source: ConfigSource
  readonly clusters: ClusterManager
  readonly environment: ExchangeEnvironment
  readonly logger: Logger
  /** Requests that may wait for configuration at once; default 1,000. */
  readonly maxPending?: number
}

/**
 * Turns configuration into what requests run on. Each configuration is reconciled by identity with the one before: only what changed is
 * compiled, a router is replaced by one assignment, and what nothing refers to any more drains.
 */
export class DataPlane {
  readonly environment: ExchangeEnvironment
  readonly clusters: ClusterManager
  readonly #source: ConfigSource
  readonly #logger: Logger
  readonly #telemetry: Telemetry
  readonly #limit: PendingLimit
  readonly #targets = new Map<string, Target>()
  /** Several authorities may share a route configuration. Weak: a router goes with its configuration. */
  readonly #routers = new WeakMap<RouteConfiguration, { readonly listener: HttpConnectionManager; readonly router: MeshRouter }>()
  readonly #listeners = new Set<(config: MeshConfig) => void>()
  #config: MeshConfig = emptyMeshConfig
  #unsubscribe: (() => void) | null

  constructor({ source, clusters, environment, logger, maxPending = 1000 }: DataPlaneOptions) {
    this.environment = environment
    this.clusters = clusters
    this.#source = source
    this.#logger = logger
    this.#telemetry = environment.telemetry
    this.#limit = new PendingLimit(maxPending)
    this.#unsubscribe = source.onChange(config => this.apply(config))
    this.apply(source.current)
  }

  /** The configuration in force. */
  get config(): MeshConfig {
    return this.#config
  }

  get targets(): ReadonlyMap<string, Target> {
    return this.#targets
  }

  /** Calls `listener` after each configuration is in force. Returns what ends it. */
  onChange(listener: (config: MeshConfig) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The target of an authority, asked of the source if it is new. */
  watch(authority: string, scheme: string): Target {
    let target = this.#targets.get(authority)
    if (target === undefined) {
      target = new Target(authority, scheme, this.environment.clock, this.#limit, this.#telemetry)
      if (this.#unsubscribe === null) {
        target.failed(closedError())
        return target
      }
      this.#targets.set(authority, target)
      this.#source.watch(authority)
      // A file answers at once, and may do so without a change.
      const state = this.#source.current.targets.get(authority)
      if (state !== undefined) {
        this.apply(this.#source.current)
        this.#applyTarget(target, state)
      }
    }
    return target
  }

  /** A target by which every call goes to one cluster, past every route. Nothing is asked of the source for it. */
  targetOfCluster(name: string): Target {
    const target = new Target(name, 'http', this.environment.clock, this.#limit, this.#telemetry)
    target.ready(this.#router(routesToCluster(name), plainListener), plainListener)
    return target
  }

  /** Forgets an authority; what waits for it fails. */
  unwatch(authority: string): void {
    const target = this.#targets.get(authority)
    if (target === undefined) return
    this.#targets.delete(authority)
    this.#source.unwatch(authority)
    target.failed(new MeshError('MESH_ERR_CONFIG', `host ${authority}: no longer watched`, { flag: 'NFCF', statusCode: 503 }))
  }

  /** Puts a configuration in force. */
  apply(config: MeshConfig): void {
    const previous = this.#config
    if (config === previous) return
    this.#config = config
    // Clusters first: a router must never lead to one that is not there yet, and those that left go last.
    const drained = config.clusters === previous.clusters ? [] : this.clusters.apply(config.clusters, previous.clusters)
    if (config.targets !== previous.targets) {
      for (const [authority, target] of this.#targets) {
        const state = config.targets.get(authority)
        if (state === previous.targets.get(authority)) continue
        if (state !== undefined) this.#applyTarget(target, state)
      }
    }
    for (const cluster of drained) cluster.drain()
    if (channels.config.hasSubscribers) channels.config.publish({ config })
    for (const listener of this.#listeners) listener(config)
  }

  async close(): Promise<void> {
    this.#unsubscribe?.()
    this.#unsubscribe = null
    for (const target of this.#targets.values()) target.failed(closedError())
    this.#targets.clear()
    // What was counted to the end is reported to the end.
    await this.clusters.close()
    await this.#source.close()
  }

  #applyTarget(target: Target, state: TargetState): void {
    if (state.kind === 'failed') {
      target.failed(targetError(target.authority, state.reason, state.message))
      return
    }
    try {
      const { http } = state.listener
      if (target.router?.config === state.routeConfiguration && target.listener === http) return
      target.ready(this.#router(state.routeConfiguration, http), http)
    } catch (cause) {
      const message = `host ${target.authority}: ${cause instanceof Error ? cause.message : String(cause)}`
      this.#logger.error(message)
      // The last good one stays in force.
      if (target.router === null)
        target.failed(new MeshError('MESH_ERR_CONFIG', message, { cause, flag: 'NFCF', statusCode: 503 }))
    }
  }

  #router(configuration: RouteConfiguration, listener: HttpConnectionManager): MeshRouter {
    const made = this.#routers.get(configuration)
    if (made !== undefined && made.listener === listener) return made.router
    const router: MeshRouter = new Router<RoutePlan, ClusterPlan>(configuration, {
      route: route => new RoutePlan(route, listener, this.clusters),
      target: target => new ClusterPlan(target, listener, this.clusters, this.#telemetry),
    })
    this.#routers.set(configuration, { listener, router })
    return router
  }
}

function closedError(): MeshError {
  return new MeshError('MESH_ERR_CLOSED', 'the mesh is closed')
}

function targetError(authority: string, reason: FailureReason, message: string): MeshError {
  switch (reason) {
    case 'does-not-exist':
      return new MeshError('MESH_ERR_UNKNOWN_HOST', `host ${authority}: not in the mesh: ${message}`, {
        flag: 'NR',
        statusCode: 502,
      })
    case 'invalid':
      return new MeshError('MESH_ERR_CONFIG', `host ${authority}: ${message}`, { flag: 'NFCF', statusCode: 503 })
    case 'unavailable':
      return new MeshError('MESH_ERR_CONFIG_TIMEOUT', `host ${authority}: ${message}`, { flag: 'NFCF', statusCode: 503 })
  }
}
