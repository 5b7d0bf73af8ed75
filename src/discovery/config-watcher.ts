import { ClusterNode } from './cluster-node.ts'
import { clustersOfInbound, InboundNode } from './inbound-node.ts'
import { federatedListenerName, type ListenerTemplates, listenerNames } from './listener-name.ts'
import { type ClusterState, emptyMeshConfig, type InboundState, type MeshConfig, type TargetState } from './model/mesh-config.ts'
import type { ResourceKey, ResourceSource } from './resource-source.ts'
import { parseTargetName, targetUri } from './target-name.ts'
import { clustersOf, TargetNode } from './target-node.ts'

/** Options of {@link ConfigWatcher}. */
export interface ConfigWatcherOptions extends ListenerTemplates {
  readonly source: ResourceSource
  /** A tree of an earlier life: used for an authority until the control plane has given a whole one. */
  readonly stale?: MeshConfig
  /** Called after each change of {@link ConfigWatcher.current}. */
  readonly onChange: (config: MeshConfig) => void
}

/** What one user of the configuration asks for. */
export interface ConfigScope {
  /** The target as in gRPC (`xds:///reviews`), or `#server` for the servers of this process (gRFC A71). */
  readonly scope: string
  readonly resources: readonly ResourceKey[]
}

interface Target {
  readonly node: TargetNode
  /** What is in use; it stays so until {@link TargetNode.candidate} is whole. */
  published: TargetState | undefined
  publishedClusters: readonly string[]
  isStale: boolean
}

interface Inbound {
  readonly node: InboundNode
  /** What is in use; it stays so until the clusters of what follows are known. */
  published: InboundState | undefined
  publishedClusters: readonly string[]
}

/** How deep an aggregate cluster may lead (gRFC A37). */
const maxDepth = 16

/**
 * Follows every watched authority from its listener to its endpoints and makes one tree of them (gRFC A74). An authority is published
 * when all its clusters are resolved or have failed, and what it replaces stays until then, clusters included (gRFC A31's
 * make-before-break). One bad cluster holds up nobody.
 */
export class ConfigWatcher {
  readonly #options: ConfigWatcherOptions
  readonly #stale: MeshConfig
  readonly #targets = new Map<string, Target>()
  readonly #clusters = new Map<string, ClusterNode>()
  readonly #inbound = new Map<string, Inbound>()
  #current: MeshConfig = emptyMeshConfig
  /** Clusters with new endpoints and nothing else. */
  readonly #refreshed = new Set<ClusterNode>()
  readonly #tooDeep = new Map<string, ClusterState>()
  #isStructural = false
  #isScheduled = false
  #isClosed = false

  constructor(options: ConfigWatcherOptions) {
    this.#options = options
    this.#stale = options.stale ?? emptyMeshConfig
  }

  get current(): MeshConfig {
    return this.#current
  }

  /** The authorities that are served from an earlier life. */
  get staleAuthorities(): readonly string[] {
    return [...this.#targets].filter(([, { isStale }]) => isStale).map(([watched]) => watched)
  }

  /** Each thing that is in use although something is wrong with it, with what is wrong. */
  get ambientErrors(): readonly string[] {
    const roots = [...this.#targets.values(), ...this.#inbound.values()].map(({ node }) => node)
    const nodes = [...roots, ...this.#clusters.values()]
    return [...new Set(nodes.flatMap(({ ambient }) => ambient.messages))]
  }

  /** The resources that each target leads to, and those of the servers of this process. */
  *scopes(): Generator<ConfigScope> {
    for (const [watched, { node, publishedClusters }] of this.#targets) {
      const names = new Set<string>()
      for (const root of [...publishedClusters, ...node.candidateClusters]) this.#collect(root, names)
      const clusters = [...names].flatMap(name => this.#clusters.get(name)?.resources ?? [])
      yield { scope: targetUri(watched), resources: [...node.resources, ...clusters] }
    }
    if (this.#inbound.size === 0) return
    const names = new Set<string>()
    for (const { publishedClusters } of this.#inbound.values()) for (const root of publishedClusters) this.#collect(root, names)
    const clusters = [...names].flatMap(name => this.#clusters.get(name)?.resources ?? [])
    const listeners = [...this.#inbound.values()].flatMap(({ node }) => node.resources)
    yield { scope: '#server', resources: [...listeners, ...clusters] }
  }

  /** @param watched see {@link parseTargetName} */
  watch(watched: string): void {
    if (this.#targets.has(watched) || this.#isClosed) return
    const { xdsAuthority, authority } = parseTargetName(watched)
    const stale = this.#stale.targets.get(watched)
    const names =
      xdsAuthority === undefined
        ? listenerNames(this.#options.listenerTemplate, authority)
        : [federatedListenerName(this.#options, xdsAuthority, authority)]
    const node = new TargetNode(authority, names, this.#options.source, () => this.#schedule(true))
    this.#targets.set(watched, {
      node,
      published: stale,
      publishedClusters: stale?.kind === 'ready' ? clustersOf(stale.routeConfiguration, authority) : [],
      isStale: stale !== undefined,
    })
    if (stale || node.candidate) this.#update()
  }

  unwatch(watched: string): void {
    const target = this.#targets.get(watched)
    if (!target) return
    this.#targets.delete(watched)
    target.node.close()
    this.#update()
  }

  /** Whether a listener is one of a server of this process. */
  isInbound(name: string): boolean {
    return this.#inbound.has(name)
  }

  watchInbound(name: string): void {
    if (this.#inbound.has(name) || this.#isClosed) return
    const { source } = this.#options
    const stale = this.#stale.inbound.get(name)
    const node = new InboundNode(name, stale, source, () => this.#schedule(true))
    this.#inbound.set(name, { node, published: stale, publishedClusters: clustersOfInbound(stale) })
    if (node.published !== undefined) this.#update()
  }

  unwatchInbound(name: string): void {
    const inbound = this.#inbound.get(name)
    if (inbound === undefined) return
    this.#inbound.delete(name)
    inbound.node.close()
    this.#update()
  }

  close(): void {
    this.#isClosed = true
    for (const { node } of this.#inbound.values()) node.close()
    this.#inbound.clear()
    for (const { node } of this.#targets.values()) node.close()
    for (const node of this.#clusters.values()) node.close()
    this.#targets.clear()
    this.#clusters.clear()
  }

  /** Waits for the end of the turn: one response may change many resources. */
  #schedule(isStructural: boolean): void {
    this.#isStructural ||= isStructural
    if (this.#isScheduled) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      if (this.#isClosed) return
      if (this.#isStructural) this.#update()
      else this.#refresh()
    })
  }

  #onCluster(node: ClusterNode, isStructural: boolean): void {
    this.#refreshed.add(node)
    this.#schedule(isStructural)
  }

  /** New endpoints of clusters in use change nothing else. */
  #refresh(): void {
    const { targets, inbound } = this.#current
    const clusters = new Map(this.#current.clusters)
    for (const { name, state } of this.#refreshed) if (state && clusters.has(name)) clusters.set(name, state)
    this.#refreshed.clear()
    this.#publish({ targets, clusters, inbound })
  }

  #update(): void {
    this.#isStructural = false
    this.#refreshed.clear()
    for (const target of this.#targets.values()) this.#advance(target)
    for (const inbound of this.#inbound.values()) this.#advanceInbound(inbound)
    const live = new Set<string>()
    const stale = new Set<string>()
    const wanted = new Set<string>()
    for (const { node, publishedClusters, isStale } of this.#targets.values()) {
      this.#follow(publishedClusters, isStale ? stale : live)
      this.#follow(node.candidateClusters, wanted)
    }
    for (const [name, { node, published, publishedClusters }] of this.#inbound) {
      this.#follow(publishedClusters, published === this.#stale.inbound.get(name) ? stale : live)
      this.#follow(clustersOfInbound(node.published), wanted)
    }
    for (const [name, node] of this.#clusters) {
      if (live.has(name) || stale.has(name) || wanted.has(name)) continue
      this.#clusters.delete(name)
      node.close()
    }
    this.#publish({
      targets: this.#publishedTargets(),
      clusters: this.#publishedClusters(live, stale),
      inbound: this.#publishedInbound(),
    })
  }

  /** Publishes what the control plane says of an authority if it is whole. */
  #advance(target: Target): void {
    const { candidate, candidateClusters } = target.node
    if (!candidate) return
    const reached = new Set<string>()
    this.#follow(candidateClusters, reached)
    const isReplacing = target.published?.kind === 'ready'
    if (candidate.kind === 'failed') {
      // An earlier life knew better than a control plane that cannot be reached, or that does not know its services again yet.
      if (isReplacing && (target.isStale || candidate.reason === 'unavailable')) return
    } else {
      for (const name of reached) if (!isResolved(this.#clusters.get(name)?.state, isReplacing)) return
    }
    target.published = candidate
    target.publishedClusters = candidateClusters
    target.isStale = false
  }

  /** Publishes what the control plane says of a server once it is known whom its filters can ask. */
  #advanceInbound(inbound: Inbound): void {
    const candidate = inbound.node.published
    if (candidate === undefined || candidate === inbound.published) return
    const names = clustersOfInbound(candidate)
    const reached = new Set<string>()
    this.#follow(names, reached)
    const isReplacing = inbound.published?.kind === 'ready'
    for (const name of reached) if (!isResolved(this.#clusters.get(name)?.state, isReplacing)) return
    inbound.published = candidate
    inbound.publishedClusters = names
  }

  /** Adds the names of `roots` and of all that they lead to, and watches those that are new. */
  #follow(roots: readonly string[], reached: Set<string>): void {
    for (const name of roots) {
      if (reached.has(name)) continue
      reached.add(name)
      this.#follow(this.#clusterNode(name).children, reached)
    }
  }

  /** Adds the name of a cluster and of all that it leads to. */
  #collect(name: string, names: Set<string>): void {
    if (names.has(name)) return
    names.add(name)
    for (const child of this.#clusters.get(name)?.children ?? []) this.#collect(child, names)
  }

  #clusterNode(name: string): ClusterNode {
    const known = this.#clusters.get(name)
    if (known) return known
    const node = new ClusterNode(name, this.#options.source, (changed, isStructural) => this.#onCluster(changed, isStructural))
    this.#clusters.set(name, node)
    return node
  }

  #publishedTargets(): ReadonlyMap<string, TargetState> {
    const targets = new Map<string, TargetState>()
    for (const [watched, { published }] of this.#targets) if (published) targets.set(watched, published)
    return targets
  }

  #publishedInbound(): ReadonlyMap<string, InboundState> {
    const inbound = new Map<string, InboundState>()
    for (const [name, { published }] of this.#inbound) if (published !== undefined) inbound.set(name, published)
    return inbound
  }

  #publishedClusters(live: ReadonlySet<string>, stale: ReadonlySet<string>): ReadonlyMap<string, ClusterState> {
    const clusters = new Map<string, ClusterState>()
    const heights = new Map<string, number>()
    for (const name of live) {
      const known = this.#liveState(name, heights) ?? this.#stale.clusters.get(name)
      if (known) clusters.set(name, known)
    }
    for (const name of stale) {
      if (live.has(name)) continue
      const state = this.#liveState(name, heights)
      const known = state?.kind === 'ready' ? state : (this.#stale.clusters.get(name) ?? state)
      if (known) clusters.set(name, known)
    }
    return clusters
  }

  #liveState(name: string, heights: Map<string, number>): ClusterState | undefined {
    if (this.#height(name, heights) <= maxDepth) return this.#clusters.get(name)?.state
    const message = `Cluster ${JSON.stringify(name)}: aggregate clusters lead more than ${maxDepth} deep`
    const state = this.#tooDeep.get(name) ?? { kind: 'failed', reason: 'invalid', message }
    this.#tooDeep.set(name, state)
    return state
  }

  /** Levels from a cluster down to its leaves; endless in a circle. */
  #height(name: string, heights: Map<string, number>): number {
    const known = heights.get(name)
    if (known !== undefined) return known
    heights.set(name, Number.POSITIVE_INFINITY)
    let height = 1
    for (const child of this.#clusters.get(name)?.children ?? []) height = Math.max(height, 1 + this.#height(child, heights))
    heights.set(name, height)
    return height
  }

  #publish(config: MeshConfig): void {
    const { targets, clusters, inbound } = this.#current
    const next = {
      targets: sameEntries(targets, config.targets) ? targets : config.targets,
      clusters: sameEntries(clusters, config.clusters) ? clusters : config.clusters,
      inbound: sameEntries(inbound, config.inbound) ? inbound : config.inbound,
    }
    if (next.targets === targets && next.clusters === clusters && next.inbound === inbound) return
    this.#current = next
    this.#options.onChange(next)
  }
}

/** A cluster that failed because nobody can be asked counts as failed only where nothing better is in use. */
function isResolved(state: ClusterState | undefined, isReplacing: boolean): boolean {
  return state !== undefined && !(isReplacing && state.kind === 'failed' && state.reason === 'unavailable')
}

function sameEntries<V>(one: ReadonlyMap<string, V>, other: ReadonlyMap<string, V>): boolean {
  if (one === other) return true
  if (one.size !== other.size) return false
  for (const [key, value] of one) if (other.get(key) !== value) return false
  return true
}
