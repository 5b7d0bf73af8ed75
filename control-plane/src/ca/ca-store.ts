import { FileCaStore } from './file-ca-store.ts'
import { MemoryCaStore } from './memory-ca-store.ts'
import type { Passphrase } from './passphrase.ts'

/** What the authority keeps: JSON documents, keys and a log that only grows. */
export interface CaStore {
  /** Folder on the disk; `undefined` in memory. */
  readonly folder: string | undefined
  /** The document last written; `undefined` when there is none. Throws when it cannot be read, rather than to start afresh. */
  readDocument(name: string): Promise<unknown>
  /** Writes in the order of the calls, each whole or not at all. */
  writeDocument(name: string, document: unknown): Promise<void>
  /** PKCS#8 PEM, not encrypted; `undefined` when there is none. Throws when it cannot be decrypted. */
  readKey(name: string): Promise<string | undefined>
  writeKey(name: string, pem: string): Promise<void>
  deleteKey(name: string): Promise<void>
  /** Adds one line to a log. */
  appendLine(log: string, line: string): Promise<void>
  /** Waits for what is being written and lets another process in. */
  close(): Promise<void>
}

/**
 * Opens the store of an authority: `DATA/ca` on the disk, or memory that ends with the process.
 *
 * @param passphrase encrypts the keys on the disk
 * @throws {LooseFileModeError} when others than the owner have access to it
 * @throws when another process holds it
 */
export async function openCaStore(data: string | undefined, passphrase?: Passphrase): Promise<CaStore> {
  return data === undefined ? new MemoryCaStore() : FileCaStore.open(data, passphrase)
}
