import { DomainTable, withoutPort } from '../policies/domain-table.ts'
import type { ClusterConfig } from './model/cluster.ts'
import type { ClusterLoadAssignment } from './model/endpoint.ts'
import type { InboundListener } from './model/inbound-listener.ts'
import type { Listener } from './model/listener.ts'
import type { ClusterState, ConfigSource, InboundState, MeshConfig, TargetState } from './model/mesh-config.ts'
import type { RouteConfiguration } from './model/route.ts'

/** What a file of resources holds. */
export interface StaticResources {
  readonly listeners: readonly Listener[]
  /** Of servers. */
  readonly inboundListeners: readonly InboundListener[]
  /** For the listeners that name their routes. */
  readonly routeConfigurations: readonly RouteConfiguration[]
  readonly clusters: readonly ClusterConfig[]
  /** For the EDS clusters. */
  readonly assignments: readonly ClusterLoadAssignment[]
}

interface Resolved {
  readonly listener: Listener
  readonly target: TargetState
}

/**
 * A {@link ConfigSource} over resources that never change. An authority leads to the listener of that name, else to the
 * listener with the virtual host that matches it best. `watch` answers before it returns.
 */
export class StaticConfigSource implements ConfigSource {
  /** Every domain of every virtual host: the authorities that are the mesh's. */
  readonly domains: readonly string[]
  readonly #byName = new Map<string, TargetState>()
  readonly #byDomain = new DomainTable<TargetState>()
  readonly #ignoringPort = new DomainTable<TargetState>()
  readonly #inbound: ReadonlyMap<string, InboundState>
  readonly #listeners = new Set<(config: MeshConfig) => void>()
  #current: MeshConfig

  constructor(resources: StaticResources) {
    const domains = new Set<string>()
    for (const { listener, target } of resolveListeners(resources)) {
      this.#byName.set(listener.name, target)
      if (target.kind !== 'ready') continue
      const { virtualHosts, ignorePortInHostMatching } = target.routeConfiguration
      for (const domain of virtualHosts.flatMap(virtualHost => virtualHost.domains)) {
        domains.add(domain)
        this.#byDomain.add(domain, target)
        if (ignorePortInHostMatching) this.#ignoringPort.add(domain, target)
      }
    }
    this.domains = [...domains]
    this.#inbound = resolveInbound(resources)
    this.#current = { targets: new Map(), clusters: resolveClusters(resources), inbound: new Map() }
  }

  get current(): MeshConfig {
    return this.#current
  }

  watch(authority: string): void {
    if (this.#current.targets.has(authority)) return
    this.#setTargets(new Map(this.#current.targets).set(authority, this.#find(authority)))
  }

  unwatch(authority: string): void {
    if (!this.#current.targets.has(authority)) return
    const targets = new Map(this.#current.targets)
    targets.delete(authority)
    this.#setTargets(targets)
  }

  /** A listener is that of a server by its name, or by its port. */
  inboundName(address: string): string | undefined {
    const port = Number(address.slice(address.lastIndexOf(':') + 1))
    for (const [name, state] of this.#inbound) {
      if (name === address || (state.kind === 'ready' && state.listener.address?.port === port)) return name
    }
    return undefined
  }

  watchInbound(name: string): void {
    if (this.#current.inbound.has(name)) return
    const message = `no listener of the name ${JSON.stringify(name)}`
    const state = this.#inbound.get(name) ?? { kind: 'failed', reason: 'does-not-exist', message }
    this.#set({ ...this.#current, inbound: new Map(this.#current.inbound).set(name, state) })
  }

  unwatchInbound(name: string): void {
    if (!this.#current.inbound.has(name)) return
    const inbound = new Map(this.#current.inbound)
    inbound.delete(name)
    this.#set({ ...this.#current, inbound })
  }

  onChange(listener: (config: MeshConfig) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  async close(): Promise<void> {
    this.#listeners.clear()
  }

  #find(authority: string): TargetState {
    return (
      this.#byName.get(authority) ??
      this.#byDomain.find(authority) ??
      this.#ignoringPort.find(withoutPort(authority)) ?? {
        kind: 'failed',
        reason: 'does-not-exist',
        message: `no listener of that name, and no virtual host matches "${authority}"`,
      }
    )
  }

  #setTargets(targets: ReadonlyMap<string, TargetState>): void {
    this.#set({ ...this.#current, targets })
  }

  #set(config: MeshConfig): void {
    this.#current = config
    for (const listener of this.#listeners) listener(config)
  }
}

function resolveListeners({ listeners, routeConfigurations }: StaticResources): readonly Resolved[] {
  const byName = new Map(routeConfigurations.map(each => [each.name, each]))
  return listeners.map(listener => {
    const { routes } = listener.http
    const routeConfiguration = routes.kind === 'inline' ? routes.routeConfiguration : byName.get(routes.routeConfigName)
    if (routeConfiguration !== undefined) return { listener, target: { kind: 'ready', listener, routeConfiguration } }
    const name = routes.kind === 'rds' ? routes.routeConfigName : ''
    const message = `route configuration "${name}" is not in the file`
    return { listener, target: { kind: 'failed', reason: 'does-not-exist', message } }
  })
}

function resolveInbound({ inboundListeners, routeConfigurations }: StaticResources): ReadonlyMap<string, InboundState> {
  const byName = new Map(routeConfigurations.map(each => [each.name, { kind: 'ready', routeConfiguration: each } as const]))
  return new Map(inboundListeners.map(listener => [listener.name, { kind: 'ready', listener, routeConfigurations: byName }]))
}

function resolveClusters({ clusters, assignments }: StaticResources): ReadonlyMap<string, ClusterState> {
  const byName = new Map(assignments.map(each => [each.name, each]))
  return new Map(clusters.map(config => [config.name, resolveCluster(config, byName)]))
}

function resolveCluster(config: ClusterConfig, assignments: ReadonlyMap<string, ClusterLoadAssignment>): ClusterState {
  const { discovery } = config
  switch (discovery.kind) {
    case 'aggregate': {
      const assignment = { name: config.name, localities: [], dropOverloads: [], overprovisioningFactor: 140 }
      return { kind: 'ready', config, assignment }
    }
    case 'eds': {
      const assignment = assignments.get(discovery.edsServiceName)
      if (assignment !== undefined) return { kind: 'ready', config, assignment }
      const message = `endpoints of "${discovery.edsServiceName}" are not in the file`
      return { kind: 'failed', reason: 'does-not-exist', message }
    }
    default:
      return { kind: 'ready', config, assignment: discovery.assignment }
  }
}
