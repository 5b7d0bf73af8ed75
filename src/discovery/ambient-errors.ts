import type { ResourceSource } from './resource-source.ts'
import type { ResourceKind, ResourceModels } from './resource-type.ts'
import type { ResourceError, StatusOr } from './resource-watcher.ts'

/** What is wrong with resources that stay in use all the same (gRFC A88), of those that are watched through it. */
export class AmbientErrors {
  readonly #errors = new Map<string, ResourceError>()

  /** In words, each once. */
  get messages(): readonly string[] {
    return [...new Set(Array.from(this.#errors.values(), ({ message }) => message))]
  }

  /** Watches a resource. Its error ends with the next that is said of the resource, and with the watch. */
  watch<K extends ResourceKind>(
    source: ResourceSource,
    kind: K,
    name: string,
    onResourceChanged: (result: StatusOr<ResourceModels[K]>) => void,
  ): () => void {
    const key = `${kind} ${name}`
    const unwatch = source.watch(kind, name, {
      onResourceChanged: result => {
        this.#errors.delete(key)
        onResourceChanged(result)
      },
      onAmbientError: error => {
        if (error === undefined) this.#errors.delete(key)
        else this.#errors.set(key, error)
      },
    })
    return () => {
      unwatch()
      this.#errors.delete(key)
    }
  }
}
