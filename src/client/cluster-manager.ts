import type { ClusterState } from '../discovery/model/mesh-config.ts'
import { CheckPacer } from './check-pacer.ts'
import { Cluster, type ClusterEnvironment } from './cluster.ts'

/** A cluster's name, bound to what it stands for now. Plans hold it, so that an update of a cluster touches no router. */
export class ClusterHandle {
  readonly name: string
  /** `null` while it is unknown or refused. */
  cluster: Cluster | null
  /** Why there is no cluster, in the control plane's words. */
  failure: string

  constructor(name: string) {
    this.name = name
    this.cluster = null
    this.failure = ''
  }
}

/** All clusters by name. */
export class ClusterManager {
  /** Of the active health checks of all. */
  readonly checks: CheckPacer
  readonly #environment: ClusterEnvironment
  readonly #handles = new Map<string, ClusterHandle>()

  constructor(environment: ClusterEnvironment) {
    this.#environment = environment
    this.checks = new CheckPacer(environment.runtime.clock)
  }

  /** The handle of a name; one that no configuration knows is not kept, since names may come from request headers. */
  handle(name: string): ClusterHandle {
    return this.#handles.get(name) ?? new ClusterHandle(name)
  }

  /** The clusters there are now. */
  *values(): IterableIterator<Cluster> {
    for (const { cluster } of this.#handles.values()) if (cluster !== null) yield cluster
  }

  /** Takes over what changed. Returns the clusters that have left or were replaced; they still serve until they are drained. */
  apply(clusters: ReadonlyMap<string, ClusterState>, previous: ReadonlyMap<string, ClusterState>): readonly Cluster[] {
    const left: Cluster[] = []
    for (const [name, state] of clusters) {
      const before = previous.get(name)
      if (state === before) continue
      const handle = this.#handles.get(name) ?? this.#add(name)
      const replaced = this.#applyState(handle, state)
      if (replaced !== null) left.push(replaced)
    }
    for (const name of previous.keys()) {
      if (clusters.has(name)) continue
      const handle = this.#handles.get(name)
      if (handle === undefined) continue
      this.#handles.delete(name)
      if (handle.cluster !== null) left.push(handle.cluster)
      handle.cluster = null
      handle.failure = 'has left the configuration'
    }
    return left
  }

  /** Ends all connections once what is in flight is done. */
  async close(): Promise<void> {
    const clusters = [...this.values()]
    this.#handles.clear()
    await Promise.all(clusters.map(cluster => cluster.drain()))
  }

  #add(name: string): ClusterHandle {
    const handle = new ClusterHandle(name)
    this.#handles.set(name, handle)
    return handle
  }

  #applyState(handle: ClusterHandle, state: ClusterState): Cluster | null {
    const { cluster } = handle
    if (state.kind === 'failed') {
      handle.cluster = null
      handle.failure = state.message
      return cluster
    }
    handle.failure = ''
    if (cluster !== null && cluster.config === state.config) {
      cluster.update(state.assignment)
      return null
    }
    handle.cluster = new Cluster(state.config, state.assignment, this.#environment, this, cluster)
    return cluster
  }
}
