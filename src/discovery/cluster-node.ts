import { AmbientErrors } from './ambient-errors.ts'
import type { ClusterConfig } from './model/cluster.ts'
import type { ClusterLoadAssignment } from './model/endpoint.ts'
import type { ClusterState } from './model/mesh-config.ts'
import type { ResourceKey, ResourceSource } from './resource-source.ts'
import type { StatusOr } from './resource-watcher.ts'

/** The endpoints that an EDS cluster names. */
interface AssignmentWatch {
  readonly service: string
  unwatch: () => void
  result: StatusOr<ClusterLoadAssignment> | undefined
}

/** What is known of a cluster, from its CDS and EDS resources: the newest state that is whole. */
export class ClusterNode {
  readonly name: string
  /** `undefined` until the cluster is resolved or has failed for the first time. */
  state: ClusterState | undefined
  /** What is wrong although `state` is in use. */
  readonly ambient = new AmbientErrors()
  readonly #source: ResourceSource
  /** `isStructural`: what the cluster leads to may have changed, and not only its own state. */
  readonly #onChange: (node: ClusterNode, isStructural: boolean) => void
  readonly #unwatchCluster: () => void
  #config: ClusterConfig | undefined
  #assignment: AssignmentWatch | undefined
  #isClosed = false

  constructor(name: string, source: ResourceSource, onChange: (node: ClusterNode, isStructural: boolean) => void) {
    this.name = name
    this.#source = source
    this.#onChange = onChange
    this.#unwatchCluster = this.ambient.watch(source, 'cluster', name, result => this.#onCluster(result))
  }

  /** The clusters that an aggregate names, by the newest configuration. */
  get children(): readonly string[] {
    return this.#config?.discovery.kind === 'aggregate' ? this.#config.discovery.clusters : []
  }

  /** What it watches. */
  get resources(): readonly ResourceKey[] {
    const cluster = { kind: 'cluster', name: this.name } as const
    return this.#assignment === undefined
      ? [cluster]
      : [cluster, { kind: 'clusterLoadAssignment', name: this.#assignment.service }]
  }

  close(): void {
    this.#isClosed = true
    this.#unwatchCluster()
    this.#assignment?.unwatch()
  }

  #onCluster(result: StatusOr<ClusterConfig>): void {
    if (this.#isClosed) return
    this.#config = result.ok ? result.value : undefined
    const service = result.ok && result.value.discovery.kind === 'eds' ? result.value.discovery.edsServiceName : undefined
    this.#watchAssignment(service)
    if (!result.ok) this.#set({ kind: 'failed', ...result.error })
    else if (service === undefined) this.#setReady(result.value)
    else this.#resolve()
  }

  /** The state that is in use stays until the new assignment is there. */
  #watchAssignment(service: string | undefined): void {
    const previous = this.#assignment
    if (previous?.service === service) return
    this.#assignment = undefined
    if (service !== undefined) this.#assignment = this.#newAssignment(service)
    previous?.unwatch()
  }

  #newAssignment(service: string): AssignmentWatch {
    const assignment: AssignmentWatch = { service, unwatch: () => {}, result: undefined }
    assignment.unwatch = this.ambient.watch(this.#source, 'clusterLoadAssignment', service, result => {
      assignment.result = result
      if (this.#assignment === assignment) this.#resolve()
    })
    return assignment
  }

  #resolve(): void {
    if (this.#isClosed || !this.#config) return
    const result = this.#assignment?.result
    if (!result) this.#onChange(this, true)
    else if (result.ok) this.#set({ kind: 'ready', config: this.#config, assignment: result.value })
    else this.#set({ kind: 'failed', ...result.error })
  }

  #setReady(config: ClusterConfig): void {
    const { discovery } = config
    this.#set({ kind: 'ready', config, assignment: 'assignment' in discovery ? discovery.assignment : noAssignment(this.name) })
  }

  #set(state: ClusterState): void {
    if (isSame(this.state, state)) return
    const isStructural = !(this.state?.kind === 'ready' && state.kind === 'ready' && this.state.config === state.config)
    this.state = state
    this.#onChange(this, isStructural)
  }
}

function noAssignment(name: string): ClusterLoadAssignment {
  return { name, localities: [], dropOverloads: [], overprovisioningFactor: 140 }
}

function isSame(one: ClusterState | undefined, other: ClusterState): boolean {
  if (one?.kind === 'ready' && other.kind === 'ready') return one.config === other.config && one.assignment === other.assignment
  return one?.kind === 'failed' && other.kind === 'failed' && one.reason === other.reason && one.message === other.message
}
