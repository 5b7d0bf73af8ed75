import { chmodSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

/**
 * Holds a folder for this process alone, until closed or until the process ends for whatever reason: SQLite's exclusive lock is the
 * operating system's own, so that none is ever left behind. For local file systems.
 */
export class SingleWriter {
  readonly #database: DatabaseSync

  /** @throws when another process, or another part of this one, holds the file */
  constructor(path: string) {
    this.#database = new DatabaseSync(path)
    try {
      this.#database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
      chmodSync(path, 0o600)
    } catch (error) {
      this.#database.close()
      throw new Error(`${path} is held by another control plane: only one may sign`, { cause: error })
    }
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close()
  }
}
