import type { FailureReason } from '../../src/discovery/model/mesh-config.ts'
import type { ResourceSource } from '../../src/discovery/resource-source.ts'
import { ResourceStore } from '../../src/discovery/resource-store.ts'
import { type ResourceKind, type ResourceModels, type ResourceTypes, typeUrls } from '../../src/discovery/resource-type.ts'
import type { ResourceWatcher } from '../../src/discovery/resource-watcher.ts'
import { type ResourceType, resourceTypes } from '../../src/discovery/resources/decode.ts'
import { ManualClock } from './manual-clock.ts'
import { wireResource, type XdsMessage } from './xds-resources.ts'

const clock = new ManualClock()

function newStore<T>(kind: string, dropOnDataError: boolean): ResourceStore<T> {
  return new ResourceStore<T>({ kind, clock, timeoutMs: 1, timeoutIsTransient: false, dropOnDataError })
}

/** A {@link ResourceSource} that holds what the test gives it. */
export class FakeResourceSource implements ResourceSource {
  readonly #stores: { readonly [K in ResourceKind]: ResourceStore<ResourceModels[K]> }
  readonly #types: ResourceTypes

  /** @param dropOnDataError a resource that is refused or gone is not kept; default true */
  constructor(types: ResourceTypes = resourceTypes, dropOnDataError = true) {
    this.#types = types
    this.#stores = {
      listener: newStore('Listener', dropOnDataError),
      routeConfiguration: newStore('RouteConfiguration', dropOnDataError),
      cluster: newStore('Cluster', dropOnDataError),
      clusterLoadAssignment: newStore('ClusterLoadAssignment', dropOnDataError),
    }
  }

  watch<K extends ResourceKind>(kind: K, name: string, watcher: ResourceWatcher<ResourceModels[K]>): () => void {
    const store: ResourceStore<ResourceModels[K]> = this.#stores[kind]
    return store.watch(name, watcher)
  }

  /** What is watched now. */
  watched(kind: ResourceKind): string[] {
    return [...this.#stores[kind].sweep()].sort()
  }

  /** Resources arrive; those that nobody watches are lost. Then the turn ends, as after a response. */
  async give(...messages: readonly XdsMessage[]): Promise<void> {
    for (const message of messages) this.#give(message)
    await Promise.resolve()
  }

  /** Gives everything again until nothing more is asked for. */
  async giveAll(...messages: readonly XdsMessage[]): Promise<void> {
    for (let round = 0; round < 4; round++) await this.give(...messages)
  }

  /** A resource is gone, refused or out of reach. */
  async fail(kind: ResourceKind, name: string, reason: FailureReason): Promise<void> {
    const store = this.#stores[kind]
    if (reason === 'does-not-exist') store.remove(name)
    else if (reason === 'invalid') store.refuse(name, `${name} is bad`)
    else store.unavailable(name, 'the control plane is down')
    await Promise.resolve()
  }

  #give(message: XdsMessage): void {
    const { typeUrl, name, bytes } = wireResource(message)
    for (const kind of ['listener', 'routeConfiguration', 'cluster', 'clusterLoadAssignment'] as const) {
      if (typeUrls[kind] === typeUrl) this.#accept(kind, name, bytes)
    }
  }

  #accept<K extends ResourceKind>(kind: K, name: string, bytes: Uint8Array): void {
    const store: ResourceStore<ResourceModels[K]> = this.#stores[kind]
    const type: ResourceType<ResourceModels[K]> = this.#types[kind]
    const { decoded } = type.decode(bytes)
    if (!decoded.ok) throw new Error(decoded.errors.join('\n'))
    if (!store.holds(name, bytes)) store.accept(name, decoded.value, bytes, '1')
  }
}
