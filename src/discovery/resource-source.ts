import type { ResourceKind, ResourceModels } from './resource-type.ts'
import type { ResourceWatcher } from './resource-watcher.ts'

/** Where single resources come from. */
export interface ResourceSource {
  /** Subscribes to a resource. What is known is told before this returns. Returns what ends the watch. */
  watch<K extends ResourceKind>(kind: K, name: string, watcher: ResourceWatcher<ResourceModels[K]>): () => void
}

/** Which resource: its kind, and its name as it is asked for. */
export interface ResourceKey {
  readonly kind: ResourceKind
  readonly name: string
}
