import type { CaStore } from './ca-store.ts'

/** A {@link CaStore} that ends with the process. Keeps no log. */
export class MemoryCaStore implements CaStore {
  readonly folder = undefined
  readonly #documents = new Map<string, unknown>()
  readonly #keys = new Map<string, string>()

  async readDocument(name: string): Promise<unknown> {
    return this.#documents.get(name)
  }

  async writeDocument(name: string, document: unknown): Promise<void> {
    this.#documents.set(name, JSON.parse(JSON.stringify(document)))
  }

  async readKey(name: string): Promise<string | undefined> {
    return this.#keys.get(name)
  }

  async writeKey(name: string, pem: string): Promise<void> {
    this.#keys.set(name, pem)
  }

  async deleteKey(name: string): Promise<void> {
    this.#keys.delete(name)
  }

  async appendLine(): Promise<void> {}

  async close(): Promise<void> {}
}
