import type { ResourceSource, ViewResources } from '../../src/xds/ads-server.ts'
import type { Resources } from '../../src/xds/snapshot.ts'

/** One view whose resources the test sets. */
export class StaticSource implements ResourceSource {
  #revision = 0
  #resources: Resources | undefined

  constructor(resources?: Resources) {
    this.set(resources)
  }

  set(resources: Resources | undefined): void {
    this.#revision += 1
    this.#resources = resources
  }

  viewOf(): string {
    return 'all'
  }

  resourcesOf(): ViewResources | undefined {
    return this.#resources && { revision: String(this.#revision), resources: this.#resources }
  }
}
