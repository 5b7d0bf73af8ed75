import { readFileSync } from 'node:fs'
import type { Runtime, Timer } from '../runtime.ts'
import { FolderWatcher } from './folder-watcher.ts'
import { folderFingerprint, listFiles } from './list-files.ts'
import { type ParsedFile, parseDocuments } from './parse-documents.ts'
import type { Problem } from './problem.ts'
import type { SourceDocument } from './source-document.ts'

/** Everything in a folder at one moment. */
export interface FolderContents {
  readonly documents: readonly SourceDocument[]
  /** What could not be read or parsed. */
  readonly problems: readonly Problem[]
}

/** How a folder is followed. */
export interface FileSourceOptions {
  /** As it shall stand in errors. */
  readonly folder: string
  readonly runtime: Runtime
  /** Quiet time after a change before the folder is read. Default 100 ms: an editor writes a file in several steps. */
  readonly debounceMs?: number
  /** How often the folder is looked at although the file system reported nothing. Default 2,000 ms. */
  readonly pollMs?: number
}

interface CachedFile {
  readonly text: string
  readonly parsed: ParsedFile
}

/** The documents in a folder, followed by what the file system reports and, where it reports nothing, by looking. */
export class FileSource {
  readonly #options: FileSourceOptions
  #cache: ReadonlyMap<string, CachedFile> = new Map()
  #fingerprint = ''
  #watcher: FolderWatcher | undefined
  #pollTimer: Timer | undefined
  #debounceTimer: Timer | undefined
  #onChange: ((contents: FolderContents) => void) | undefined

  constructor(options: FileSourceOptions) {
    this.#options = options
  }

  /** Reads the folder. Files whose text is the same as before are not parsed again. */
  read(): FolderContents {
    const { folder } = this.#options
    const problems: Problem[] = []
    const documents: SourceDocument[] = []
    const cache = new Map<string, CachedFile>()
    const refuse = (file: string, error: unknown) => {
      const message = `cannot be read: ${error instanceof Error ? error.message : String(error)}`
      problems.push({ severity: 'error', file, line: 0, column: 0, object: '', field: '', message })
    }
    try {
      const files = listFiles(folder)
      this.#fingerprint = folderFingerprint(files)
      for (const { path } of files) {
        try {
          const file = this.#parse(path)
          cache.set(path, file)
          documents.push(...file.parsed.documents)
          problems.push(...file.parsed.problems)
        } catch (error) {
          refuse(path, error)
        }
      }
    } catch (error) {
      this.#fingerprint = ''
      refuse(folder, error)
    }
    this.#cache = cache
    return { documents, problems }
  }

  /** Calls `onChange` with the new contents after each change since the last {@link read}. */
  follow(onChange: (contents: FolderContents) => void): void {
    this.#onChange = onChange
    const { folder, runtime } = this.#options
    this.#watcher = new FolderWatcher({ folder, logger: runtime.logger, onChange: () => this.#changed() })
    this.#poll()
  }

  /** Stops following. */
  close(): void {
    this.#onChange = undefined
    this.#watcher?.close()
    this.#pollTimer?.cancel()
    this.#debounceTimer?.cancel()
  }

  #parse(path: string): CachedFile {
    const text = readFileSync(path, 'utf8')
    const known = this.#cache.get(path)
    return known?.text === text ? known : { text, parsed: parseDocuments(path, text) }
  }

  #poll(): void {
    const { runtime, pollMs = 2000 } = this.#options
    this.#pollTimer = runtime.clock.setTimeout(() => {
      if (!this.#debounceTimer && this.#differs()) this.#changed()
      this.#poll()
    }, pollMs)
  }

  #changed(): void {
    if (!this.#onChange) return
    this.#debounceTimer?.cancel()
    this.#debounceTimer = this.#options.runtime.clock.setTimeout(() => {
      this.#debounceTimer = undefined
      this.#settle()
    }, this.#options.debounceMs ?? 100)
  }

  #settle(): void {
    // Before it is read, so that nothing happens between.
    this.#watcher?.refresh()
    if (!this.#differs()) return
    const contents = this.read()
    // Written while it was read: what was seen may be half of it.
    if (this.#differs()) this.#changed()
    else this.#onChange?.(contents)
  }

  #differs(): boolean {
    try {
      return folderFingerprint(listFiles(this.#options.folder)) !== this.#fingerprint
    } catch {
      return this.#fingerprint !== ''
    }
  }
}
