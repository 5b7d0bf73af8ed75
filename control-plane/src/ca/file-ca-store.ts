import { appendFile, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { CaStore } from './ca-store.ts'
import { makePrivateFolder, requirePrivate, writePrivateFile } from './private-files.ts'
import { SingleWriter } from './single-writer.ts'

/** A {@link CaStore} in a folder of mode 0700 with files of mode 0600. Refuses looser ones. */
export class FileCaStore implements CaStore {
  readonly folder: string
  readonly #lock: SingleWriter
  #writing: Promise<void> = Promise.resolve()

  private constructor(folder: string, lock: SingleWriter) {
    this.folder = folder
    this.#lock = lock
  }

  static async open(data: string): Promise<FileCaStore> {
    const folder = join(data, 'ca')
    await makePrivateFolder(folder)
    return new FileCaStore(folder, new SingleWriter(join(folder, 'lock.db')))
  }

  async readDocument(name: string): Promise<unknown> {
    const text = await this.#read(`${name}.json`)
    if (text === undefined) return undefined
    try {
      return JSON.parse(text)
    } catch (error) {
      throw new Error(`${join(this.folder, `${name}.json`)} is not JSON`, { cause: error })
    }
  }

  async writeDocument(name: string, document: unknown): Promise<void> {
    const content = `${JSON.stringify(document, null, 2)}\n`
    return this.#inTurn(() => writePrivateFile(join(this.folder, `${name}.json`), content))
  }

  async readKey(name: string): Promise<string | undefined> {
    return this.#read(`${name}.key`)
  }

  async writeKey(name: string, pem: string): Promise<void> {
    return this.#inTurn(() => writePrivateFile(join(this.folder, `${name}.key`), pem))
  }

  async deleteKey(name: string): Promise<void> {
    return this.#inTurn(() => rm(join(this.folder, `${name}.key`), { force: true }))
  }

  async appendLine(log: string, line: string): Promise<void> {
    // Opened each time, so that the file can be moved away while this runs.
    return this.#inTurn(() => appendFile(join(this.folder, `${log}.jsonl`), `${line}\n`, { mode: 0o600 }))
  }

  async close(): Promise<void> {
    await this.#writing
    this.#lock.close()
  }

  async #read(file: string): Promise<string | undefined> {
    const path = join(this.folder, file)
    try {
      await requirePrivate(path)
      return await readFile(path, 'utf8')
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
      throw error
    }
  }

  #inTurn(write: () => Promise<void>): Promise<void> {
    const done = this.#writing.then(write)
    this.#writing = done.catch(() => {})
    return done
  }
}
