import type { Node } from 'inmesh/gen/envoy/config/core/v3/base_pb'
import type { Configuration } from './configuration.ts'
import { MeshState } from './mesh.ts'
import type { RegisteredWorkload } from './registry/registered-workload.ts'
import type { Runtime } from './runtime.ts'
import { FileSource, type FileSourceOptions, type FolderContents } from './sources/file-source.ts'
import { formatProblem, type Problem } from './sources/problem.ts'
import type { TranslatorOptions } from './translate/translator.ts'
import { type View, viewKey, viewOf } from './translate/view.ts'
import type { ViewResources } from './xds/ads-server.ts'
import { listenerType } from './xds/resource-type.ts'

/** The documents in a folder cannot be served, and nothing was served before. */
export class BadConfigurationError extends Error {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'))
    this.name = 'BadConfigurationError'
    this.problems = problems
  }
}

/** Options of {@link FileConfiguration}. */
export interface FileConfigurationOptions extends FileSourceOptions, TranslatorOptions {}

/** A folder of documents, followed, with the registered workloads: the mesh as this control plane serves it. */
export class FileConfiguration implements Configuration {
  readonly #state: MeshState
  readonly #source: FileSource
  readonly #runtime: Runtime
  readonly #views = new Map<string, View>()
  #listener: (() => void) | undefined
  /** Ids of the orphans that were warned of. */
  #orphans: ReadonlySet<string> = new Set()

  /**
   * Reads the folder and follows it.
   *
   * @throws {BadConfigurationError} when the folder has errors. Later errors are logged, and the last good revision goes on
   */
  constructor(options: FileConfigurationOptions) {
    this.#state = new MeshState(options)
    this.#runtime = options.runtime
    this.#source = new FileSource(options)
    const { documents, problems } = this.#source.read()
    const result = this.#state.apply(documents, problems)
    if (result.kind === 'refused') throw new BadConfigurationError(result.problems)
    this.#report(result.revision, documents.length, result.warnings)
    this.#source.follow(contents => this.#changed(contents))
  }

  viewOf(node: Node | undefined, identity?: string): string | undefined {
    const view = viewOf(node, identity)
    if (view === undefined) return undefined
    const key = viewKey(view)
    this.#views.set(key, view)
    return key
  }

  resourcesOf(key: string): ViewResources | undefined {
    const view = this.#views.get(key)
    return view && this.#state.resourcesOf(view)
  }

  demand(key: string, typeUrl: string, names: readonly string[]): boolean {
    const view = this.#views.get(key)
    return view !== undefined && typeUrl === listenerType && this.#state.demandInbound(view, names)
  }

  release(key: string, typeUrl: string, names: readonly string[]): void {
    const view = this.#views.get(key)
    if (view !== undefined && typeUrl === listenerType) this.#state.releaseInbound(view, names)
  }

  setWorkloads(workloads: readonly RegisteredWorkload[]): void {
    const isNew = this.#state.setWorkloads(workloads)
    this.#reportOrphans()
    if (!isNew) return
    this.#runtime.logger.info(`revision ${this.#state.revision}: ${workloads.length} registered workloads`)
    this.#listener?.()
  }

  onChange(listener: () => void): void {
    this.#listener = listener
  }

  close(): void {
    this.#source.close()
  }

  #changed({ documents, problems }: FolderContents): void {
    const before = this.#state.revision
    const result = this.#state.apply(documents, problems)
    if (result.kind === 'refused') {
      const { logger } = this.#runtime
      logger.error(`the change is refused, revision ${before} goes on`)
      for (const problem of result.problems) this.#log(problem)
      return
    }
    if (result.revision === before) return
    this.#report(result.revision, documents.length, result.warnings)
    this.#reportOrphans()
    this.#listener?.()
  }

  #report(revision: number, count: number, warnings: readonly Problem[]): void {
    this.#runtime.logger.info(`revision ${revision}: ${count} documents`)
    for (const warning of warnings) this.#log(warning)
  }

  #reportOrphans(): void {
    const { orphans } = this.#state
    for (const { id, service, namespace, labels } of orphans) {
      if (this.#orphans.has(id)) continue
      this.#runtime.logger.warn('a workload serves nothing: the selector of its declared service leaves it out', {
        id,
        service: `${namespace}/${service}`,
        labels,
      })
    }
    this.#orphans = new Set(orphans.map(({ id }) => id))
  }

  #log(problem: Problem): void {
    const { logger } = this.#runtime
    if (problem.severity === 'error') logger.error(formatProblem(problem))
    else logger.warn(formatProblem(problem))
  }
}
