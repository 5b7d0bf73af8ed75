import { type FSWatcher, watch } from 'node:fs'
import type { Logger } from '../runtime.ts'
import { listFolders } from './list-files.ts'

/** Options of {@link FolderWatcher}. */
export interface FolderWatcherOptions {
  readonly folder: string
  readonly logger: Logger
  /** Called for whatever the file system reports. */
  onChange(): void
}

/**
 * Hears of changes in a folder and the folders below. Each is watched by itself: on Linux Node's recursive watching hears no more of a file
 * once another was renamed onto it, as editors save. What the file system does not report is for others to find.
 */
export class FolderWatcher {
  readonly #options: FolderWatcherOptions
  readonly #watchers = new Map<string, FSWatcher>()

  constructor(options: FolderWatcherOptions) {
    this.#options = options
    this.refresh()
  }

  /**
   * Watches the folders that there are now, each anew: one that was removed and made again has the same name. What happens meanwhile is
   * not heard of, so that the folder is to be read after it.
   */
  refresh(): void {
    this.close()
    for (const folder of this.#folders()) this.#watch(folder)
  }

  close(): void {
    for (const folder of [...this.#watchers.keys()]) this.#end(folder)
  }

  #folders(): readonly string[] {
    try {
      return listFolders(this.#options.folder)
    } catch {
      return []
    }
  }

  #watch(folder: string): void {
    const { logger, onChange } = this.#options
    const fail = (error: unknown) => {
      logger.debug('the file system reports no more changes', { folder, error: String(error) })
      this.#end(folder)
    }
    try {
      const watcher = watch(folder, () => onChange())
      watcher.unref()
      watcher.on('error', fail)
      this.#watchers.set(folder, watcher)
    } catch (error) {
      fail(error)
    }
  }

  #end(folder: string): void {
    this.#watchers.get(folder)?.close()
    this.#watchers.delete(folder)
  }
}
