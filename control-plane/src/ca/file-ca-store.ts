import { appendFile, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { CaStore } from './ca-store.ts'
import type { Passphrase } from './passphrase.ts'
import { makePrivateFolder, requirePrivate, writePrivateFile } from './private-files.ts'
import { openKey, sealKey } from './sealed-key.ts'
import { SingleWriter } from './single-writer.ts'

/** A {@link CaStore} in a folder of mode 0700 with files of mode 0600. Refuses looser ones. With a passphrase, keys are encrypted. */
export class FileCaStore implements CaStore {
  readonly folder: string
  readonly #lock: SingleWriter
  readonly #passphrase: Passphrase | undefined
  #writing: Promise<void> = Promise.resolve()

  private constructor(folder: string, lock: SingleWriter, passphrase: Passphrase | undefined) {
    this.folder = folder
    this.#lock = lock
    this.#passphrase = passphrase
  }

  /** @param passphrase encrypts the keys, those that are there and are not encrypted included */
  static async open(data: string, passphrase?: Passphrase): Promise<FileCaStore> {
    const folder = join(data, 'ca')
    await makePrivateFolder(folder)
    const store = new FileCaStore(folder, new SingleWriter(join(folder, 'lock.db')), passphrase)
    try {
      await store.#sealAll()
    } catch (error) {
      await store.close()
      throw error
    }
    return store
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
    const file = `${name}.key`
    const pem = await this.#read(file)
    return pem === undefined ? undefined : openKey(pem, this.#passphrase, join(this.folder, file))
  }

  async writeKey(name: string, pem: string): Promise<void> {
    const content = this.#passphrase === undefined ? pem : sealKey(pem, this.#passphrase)
    return this.#inTurn(() => writePrivateFile(join(this.folder, `${name}.key`), content))
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

  /**
   * Encrypts every key that is not, also one that a crash has left without a use; one after the other, each whole or not at all. Only when
   * those that are encrypted open, so that there is never more than one passphrase.
   */
  async #sealAll(): Promise<void> {
    if (this.#passphrase === undefined) return
    const files = (await readdir(this.folder)).filter(file => file.endsWith('.key'))
    const plain: (readonly [name: string, pem: string])[] = []
    for (const file of files) {
      const name = file.slice(0, -'.key'.length)
      const pem = await this.readKey(name)
      if (pem !== undefined && pem === (await this.#read(file))) plain.push([name, pem])
    }
    for (const [name, pem] of plain) await this.writeKey(name, pem)
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
