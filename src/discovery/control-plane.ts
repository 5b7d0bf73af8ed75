import type { Runtime } from '../runtime.ts'
import { LoadReporting } from './load-reporting.ts'
import { loadStatsTransport } from './load-stats-stream.ts'
import type { LoadSource } from './model/cluster-load.ts'
import type { ResourceSource } from './resource-source.ts'
import type { ResourceKind, ResourceModels } from './resource-type.ts'
import type { ResourceWatcher } from './resource-watcher.ts'
import { XdsClient, type XdsClientOptions, type XdsPlace } from './xds-client.ts'
import type { XdsNode } from './xds-node.ts'
import type { XdsTransport } from './xds-stream.ts'

/** Options of {@link ControlPlane}. */
export interface ControlPlaneOptions extends Pick<XdsClientOptions, 'loadTypes' | 'onEvent'> {
  readonly node: XdsNode
  readonly runtime: Runtime
  /** In order of preference (gRFC A71). */
  readonly places: readonly [XdsPlace, ...XdsPlace[]]
  /** The ways to the same servers for load reports. */
  readonly transports: readonly XdsTransport[]
}

/** The servers of one list of a bootstrap: the stream of configuration from one of them at a time, and the load reports to that one. */
export class ControlPlane implements ResourceSource {
  readonly client: XdsClient
  readonly #options: ControlPlaneOptions
  /** The server that configuration comes from. */
  #serving = 0
  #loadReporting: LoadReporting | undefined

  constructor(options: ControlPlaneOptions) {
    this.#options = options
    const [{ server, transport }, ...fallbacks] = options.places
    const { node, runtime, loadTypes, onEvent } = options
    this.client = new XdsClient({
      server,
      transport,
      fallbacks,
      node,
      runtime,
      loadTypes,
      ...(onEvent === undefined ? {} : { onEvent }),
      onServing: place => {
        this.#serving = place
        this.#loadReporting?.follow(place)
      },
    })
  }

  /** Whether a server is spoken to with the workload's own identity. */
  get hasIdentity(): boolean {
    return this.#options.places.some(({ server }) => server.credentials.kind === 'identity')
  }

  /** The ways to its servers. */
  get transports(): readonly XdsTransport[] {
    return this.#options.transports
  }

  watch<K extends ResourceKind>(kind: K, name: string, watcher: ResourceWatcher<ResourceModels[K]>): () => void {
    return this.client.watch(kind, name, watcher)
  }

  /** Reports what is counted there, while a cluster asks for it. Called at most once. */
  reportLoads(loads: LoadSource): void {
    const { runtime, node, transports } = this.#options
    this.#loadReporting = new LoadReporting({ runtime, node, transports: transports.map(loadStatsTransport), loads })
    this.#loadReporting.follow(this.#serving)
  }

  /** Resolves when the last load is reported. */
  async close(): Promise<void> {
    if (this.#loadReporting !== undefined) await this.#loadReporting.close()
    this.client.close()
  }
}
