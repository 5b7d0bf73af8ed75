import { createHash } from 'node:crypto'
import { join, resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { Runtime } from '../runtime.ts'
import type { Identities } from '../security/identities.ts'
import type { Bootstrap } from './bootstrap.ts'
import type { ClientStatus } from './client-status.ts'
import { ConfigWatcher } from './config-watcher.ts'
import { ControlPlanes } from './control-planes.ts'
import { LastKnownGood, type LoadedConfig } from './last-known-good.ts'
import { serverListenerName } from './listener-name.ts'
import type { DividedLoads } from './model/cluster-load.ts'
import type { ConfigSource, MeshConfig } from './model/mesh-config.ts'
import { canonicalName } from './resource-name.ts'
import { type ResourceTypes, typeUrls } from './resource-type.ts'
import type { ReadingOptions } from './resources/decode.ts'
import type { FederatedStatus, XdsClientEvent, XdsClientStatus } from './xds-client-status.ts'
import { type Workload, withWorkloads } from './xds-node.ts'
import { xdsServerKey } from './xds-server.ts'

/** Options of {@link createXdsConfigSource}. */
export interface XdsConfigSourceOptions {
  readonly bootstrap: Bootstrap
  readonly runtime: Runtime
  /** Where to keep the last good configuration. Default: nowhere. */
  readonly cacheDir?: string | undefined
  /** For servers that are spoken to with the workload's own identity. Default: none. */
  readonly identities?: Identities
}

/** How things stand, first of all with the servers at the top of the bootstrap. */
export interface XdsStatus extends XdsClientStatus {
  /** With the servers of authorities that have their own (gRFC A47). */
  readonly federated: readonly FederatedStatus[]
  /** The configuration of an earlier life, if one was found. */
  readonly cache: { readonly path: string; readonly savedAt: number; readonly ageMs: number } | undefined
  /** Authorities that are served from it still. */
  readonly staleAuthorities: readonly string[]
  /** What is in use although the control plane cannot be reached, deleted it, or sent a newer one that was refused. */
  readonly ambientErrors: readonly string[]
}

/** What {@link XdsConfigSource.on} tells. */
export interface XdsConfigSourceEvents {
  readonly config: MeshConfig
  readonly connected: Extract<XdsClientEvent, { kind: 'connected' }>
  readonly disconnected: Extract<XdsClientEvent, { kind: 'disconnected' }>
  readonly nack: Extract<XdsClientEvent, { kind: 'nack' }>
}

/** A {@link ConfigSource} that follows a control plane. */
export interface XdsConfigSource extends ConfigSource {
  /** Tells the control plane which services this process offers; none takes it back. The stream is opened again for that. */
  setWorkloads(workloads: readonly Workload[]): void
  /** Reports what is counted there to the control planes, while a cluster asks for it. Called at most once. */
  reportLoads(loads: DividedLoads): void
  status(): XdsStatus
  /** What was received, by who uses it. */
  clientStatus(): ClientStatus
  /** Returns what ends the subscription. */
  on<E extends keyof XdsConfigSourceEvents>(event: E, listener: (value: XdsConfigSourceEvents[E]) => void): () => void
}

/**
 * Follows a control plane over ADS. Nothing is connected, and no protocol code loaded, before the first authority is watched or
 * workload announced. With `cacheDir`, an authority known to an earlier life is usable at once, marked in {@link XdsStatus}.
 */
export function createXdsConfigSource(options: XdsConfigSourceOptions): XdsConfigSource {
  return new AdsConfigSource(options)
}

type Listeners = { readonly [E in keyof XdsConfigSourceEvents]: Set<(value: XdsConfigSourceEvents[E]) => void> }

class AdsConfigSource implements XdsConfigSource {
  readonly #options: XdsConfigSourceOptions
  readonly #planes: ControlPlanes
  readonly #watcher: ConfigWatcher
  readonly #store: LastKnownGood | undefined
  readonly #loaded: LoadedConfig | undefined
  readonly #endOfIdentities: (() => void) | undefined
  readonly #listeners: Listeners = { config: new Set(), connected: new Set(), disconnected: new Set(), nack: new Set() }

  constructor(options: XdsConfigSourceOptions) {
    const { bootstrap, runtime, cacheDir, identities } = options
    this.#options = options
    this.#store = cacheDir ? new LastKnownGood({ path: cachePath(cacheDir, bootstrap), runtime }) : undefined
    this.#loaded = this.#store?.load()
    this.#planes = new ControlPlanes({
      bootstrap,
      runtime,
      identities,
      loadTypes: () =>
        loadTypes({
          isInbound: name => this.#watcher.isInbound(canonicalName(name)),
          isForGrpc: bootstrap.node.metadata.GENERATOR === 'grpc',
        }),
      onEvent: event => this.#onEvent(event),
    })
    this.#watcher = new ConfigWatcher({
      source: this.#planes.source,
      listenerTemplate: bootstrap.listenerTemplate,
      authorities: bootstrap.authorities,
      ...(this.#loaded ? { stale: this.#loaded.config } : {}),
      onChange: config => this.#onConfig(config),
    })
    // A control plane tells by the certificate of a stream whom it still has to wait for, and ends the stream when it expires.
    this.#endOfIdentities = identities?.subscribe(() => this.#planes.renew())
  }

  get current(): MeshConfig {
    return this.#watcher.current
  }

  watch(authority: string): void {
    this.#watcher.watch(authority)
  }

  unwatch(authority: string): void {
    this.#watcher.unwatch(authority)
  }

  inboundName(address: string): string | undefined {
    const { serverListenerTemplate } = this.#options.bootstrap
    return serverListenerTemplate === undefined ? undefined : serverListenerName(serverListenerTemplate, address)
  }

  watchInbound(name: string): void {
    this.#watcher.watchInbound(name)
  }

  unwatchInbound(name: string): void {
    this.#watcher.unwatchInbound(name)
  }

  onChange(listener: (config: MeshConfig) => void): () => void {
    return this.on('config', listener)
  }

  on<E extends keyof XdsConfigSourceEvents>(event: E, listener: (value: XdsConfigSourceEvents[E]) => void): () => void {
    const listeners: Set<(value: XdsConfigSourceEvents[E]) => void> = this.#listeners[event]
    // A function of its own, since the same one may be given twice.
    const own = (value: XdsConfigSourceEvents[E]) => listener(value)
    listeners.add(own)
    return () => {
      listeners.delete(own)
    }
  }

  setWorkloads(workloads: readonly Workload[]): void {
    this.#planes.main.client.announce(withWorkloads(this.#options.bootstrap.node, workloads))
  }

  reportLoads(loads: DividedLoads): void {
    this.#planes.reportLoads(loads)
  }

  status(): XdsStatus {
    return {
      ...this.#planes.main.client.status(),
      federated: this.#planes.status(),
      cache: this.#cacheStatus(),
      staleAuthorities: this.#watcher.staleAuthorities,
      ambientErrors: this.#watcher.ambientErrors,
    }
  }

  clientStatus(): ClientStatus {
    const scopes = Array.from(this.#watcher.scopes(), ({ scope, resources }) => ({
      scope,
      resources: resources.flatMap(key => {
        const dump = this.#planes.dump(key)
        return dump === undefined ? [] : [{ ...dump, typeUrl: typeUrls[key.kind] }]
      }),
    }))
    return { node: this.#options.bootstrap.node, scopes }
  }

  async close(): Promise<void> {
    this.#endOfIdentities?.()
    this.#watcher.close()
    const ended = this.#planes.close()
    for (const listeners of Object.values(this.#listeners)) listeners.clear()
    await Promise.all([ended, this.#store?.flush()])
  }

  #cacheStatus(): XdsStatus['cache'] {
    if (!this.#store || !this.#loaded) return undefined
    const { savedAt } = this.#loaded
    // The wall clock may have been put back since.
    return { path: this.#store.path, savedAt, ageMs: Math.max(0, this.#options.runtime.clock.wallNow() - savedAt) }
  }

  #onConfig(config: MeshConfig): void {
    this.#store?.save(config, () => this.#planes.versions())
    for (const listener of [...this.#listeners.config]) listener(config)
  }

  #onEvent(event: XdsClientEvent): void {
    switch (event.kind) {
      case 'connected':
        for (const listener of [...this.#listeners.connected]) listener(event)
        break
      case 'disconnected':
        for (const listener of [...this.#listeners.disconnected]) listener(event)
        break
      case 'nack':
        for (const listener of [...this.#listeners.nack]) listener(event)
    }
  }
}

async function loadTypes(reading: ReadingOptions): Promise<ResourceTypes> {
  // Evaluating the generated types takes a while; what waits for the cached configuration goes first.
  await setImmediate()
  const { resourceTypesOf } = await import('./resources/decode.ts')
  return resourceTypesOf(reading)
}

/** Processes of one service that follow the same server share a file, whatever their ids. */
function cachePath(cacheDir: string, { servers: [server], authorities, node }: Bootstrap): string {
  const federated = Array.from(authorities, ([name, { servers }]) => `\n${name} ${xdsServerKey(servers[0])}`).sort()
  const key = createHash('sha256')
    .update(`${xdsServerKey(server)}\n${node.cluster}\n${node.userAgentVersion}${federated.join('')}`)
    .digest('hex')
  return join(resolve(cacheDir), `${key.slice(0, 16)}.jsonl`)
}
