import type { Message } from '@bufbuild/protobuf'
import type { Node } from 'inmesh/gen/envoy/config/core/v3/base_pb'
import type { ResourceSource, ViewResources } from './ads-server.ts'
import { secretType } from './resource-type.ts'

/** Who has which secrets. */
export interface SecretStore {
  /** By name. */
  of(spiffeId: string): ReadonlyMap<string, Message>
}

/** A view, and whose secrets are in it. */
interface SecretView {
  readonly view: string
  readonly identity: string
}

/**
 * Adds secrets to the configuration of proxies that have proved who they are. They are those of the certificate of a stream, whatever its
 * node says, and a stream without one has none.
 */
export class SecretSource implements ResourceSource {
  readonly #inner: ResourceSource
  readonly #views = new Map<string, SecretView>()
  readonly #known = new Map<string, { readonly of: ViewResources; readonly version: number; readonly resources: ViewResources }>()
  #store: SecretStore | undefined
  #version = 0

  constructor(inner: ResourceSource) {
    this.#inner = inner
  }

  /** From now on there are some. */
  use(store: SecretStore): void {
    this.#store = store
  }

  /** They have changed. */
  changed(): void {
    this.#version++
  }

  viewOf(node: Node | undefined, identity?: string): string | undefined {
    const view = this.#inner.viewOf(node, identity)
    if (view === undefined || identity === undefined || node?.userAgentName !== 'envoy') return view
    const key = JSON.stringify([view, identity])
    this.#views.set(key, { view, identity })
    return key
  }

  resourcesOf(key: string): ViewResources | undefined {
    const found = this.#views.get(key)
    if (found === undefined) return this.#inner.resourcesOf(key)
    const of = this.#inner.resourcesOf(found.view)
    if (of === undefined || this.#store === undefined) return of
    // First, since asking may make them.
    const secrets = this.#store.of(found.identity)
    const known = this.#known.get(key)
    if (known?.of.resources === of.resources && known.version === this.#version) return known.resources
    const resources = {
      revision: `${of.revision}.${this.#version}`,
      resources: new Map([...of.resources, [secretType, secrets] as const]),
    }
    this.#known.set(key, { of, version: this.#version, resources })
    return resources
  }

  demand(key: string, typeUrl: string, names: readonly string[]): boolean {
    return this.#inner.demand?.(this.#views.get(key)?.view ?? key, typeUrl, names) ?? false
  }

  release(key: string, typeUrl: string, names: readonly string[]): void {
    this.#inner.release?.(this.#views.get(key)?.view ?? key, typeUrl, names)
  }
}
