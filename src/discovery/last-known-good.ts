import { readFileSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Runtime, Timer } from '../runtime.ts'
import type { ClusterState, InboundState, MeshConfig } from './model/mesh-config.ts'
import { runInSlices } from './run-in-slices.ts'
import {
  readConfig,
  type SavedCluster,
  type SavedConfig,
  type SavedInbound,
  type SavedTarget,
  type SavedVersions,
  writeConfig,
} from './saved-config.ts'

/** Options of {@link LastKnownGood}. */
export interface LastKnownGoodOptions {
  /** Absolute. */
  readonly path: string
  readonly runtime: Runtime
  /** Pause between a change and its writing, in which further changes are gathered. Default 1,000. */
  readonly delayMs?: number
  /** Age at which an authority that nobody asks for any more is left out. Default 7 days. */
  readonly maxIdleMs?: number
}

/** What {@link LastKnownGood.load} found. */
export interface LoadedConfig {
  readonly config: MeshConfig
  /** Wall-clock time of writing, in milliseconds. */
  readonly savedAt: number
}

/**
 * The last tree that could be used, in a file, for a process that starts while no control plane can be reached. Written as a whole or
 * not at all; a disk that is full, read-only or damaged costs a warning and nothing else.
 */
export class LastKnownGood {
  readonly path: string
  readonly #runtime: Runtime
  readonly #delayMs: number
  readonly #maxIdleMs: number
  #loaded: SavedConfig | undefined
  #next: { readonly config: MeshConfig; readonly versions: () => SavedVersions } | undefined
  #timer: Timer | undefined
  #writing: Promise<void> | undefined
  #hasWarned = false

  constructor({ path, runtime, delayMs = 1_000, maxIdleMs = 7 * 24 * 60 * 60 * 1_000 }: LastKnownGoodOptions) {
    this.path = path
    this.#runtime = runtime
    this.#delayMs = delayMs
    this.#maxIdleMs = maxIdleMs
  }

  /** Reads the file. `undefined` when there is none, or none that can be read. */
  load(): LoadedConfig | undefined {
    let text: string
    try {
      text = readFileSync(this.path, 'utf8')
    } catch (error) {
      if (!isMissing(error)) this.#warn('cannot be read', error)
      return undefined
    }
    try {
      this.#loaded = readConfig(text)
    } catch (error) {
      this.#warn('is ignored', error)
      return undefined
    }
    const { targets, clusters, inbound, savedAt } = this.#loaded
    const states = new Map([...targets].map(([authority, { state }]) => [authority, state]))
    return { config: { targets: states, clusters, inbound }, savedAt }
  }

  /**
   * Writes a tree a little later; only the newest is written.
   *
   * @param versions read when it is time to write
   */
  save(config: MeshConfig, versions: () => SavedVersions): void {
    this.#next = { config, versions }
    if (!this.#timer && !this.#writing) this.#timer = this.#runtime.clock.setTimeout(() => this.#write(), this.#delayMs)
  }

  /** Writes at once what waits. */
  async flush(): Promise<void> {
    await this.#writing
    this.#timer?.cancel()
    this.#write()
    await this.#writing
  }

  #write(): void {
    this.#timer = undefined
    const next = this.#next
    this.#next = undefined
    if (!next) return
    this.#writing = this.#replaceFile(this.#merge(next.config, next.versions()))
      .catch((error: unknown) => this.#warn('cannot be written', error))
      .then(() => {
        this.#writing = undefined
        if (this.#next) this.save(this.#next.config, this.#next.versions)
      })
  }

  async #replaceFile(saved: SavedConfig): Promise<void> {
    const text = await runInSlices(writeConfig(saved), this.#runtime.clock)
    const temporary = `${this.path}.${process.pid}.tmp`
    try {
      await mkdir(dirname(this.path), { recursive: true, mode: 0o700 })
      await writeFile(temporary, text, { mode: 0o600 })
      await rename(temporary, this.path)
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {})
      throw error
    }
  }

  /** What an earlier life knew and this one has not asked for yet stays for the next. */
  #merge(config: MeshConfig, versions: SavedVersions): SavedConfig {
    const savedAt = this.#runtime.clock.wallNow()
    const targets = new Map<string, SavedTarget>()
    const clusters = new Map<string, SavedCluster>()
    for (const [authority, target] of this.#loaded?.targets ?? []) {
      if (savedAt - target.at < this.#maxIdleMs && !config.targets.has(authority)) targets.set(authority, target)
    }
    if (targets.size > 0) for (const [name, state] of this.#loaded?.clusters ?? []) clusters.set(name, state)
    for (const [authority, state] of config.targets) if (state.kind === 'ready') targets.set(authority, { at: savedAt, state })
    for (const [name, state] of config.clusters) if (isSafe(state)) clusters.set(name, state)
    const inbound = new Map<string, SavedInbound>()
    for (const [name, state] of config.inbound) if (isSafe(state)) inbound.set(name, state)
    return { savedAt, targets, clusters, inbound, versions }
  }

  /** One warning: a disk that is broken is so for every write. */
  #warn(what: string, error: unknown): void {
    if (this.#hasWarned) return
    this.#hasWarned = true
    const reason = error instanceof Error ? error.message : String(error)
    this.#runtime.logger.warn(`the last known configuration ${what}: ${reason}`, { path: this.path })
  }
}

/** Whether a state can be used and holds no private key, which is never written down. */
function isSafe(state: ClusterState): state is SavedCluster
function isSafe(state: InboundState): state is SavedInbound
function isSafe(state: ClusterState | InboundState): boolean {
  if (state.kind !== 'ready') return false
  const contexts =
    'config' in state
      ? [state.config.tls, ...state.config.tlsMatches.map(({ tls }) => tls)]
      : [...state.listener.filterChains, state.listener.defaultFilterChain].map(chain => chain?.tls)
  return contexts.every(tls => tls?.certificate?.kind !== 'inline')
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
