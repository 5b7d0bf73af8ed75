import { isDeepStrictEqual } from 'node:util'
import type { RegisteredWorkload } from '../registry/registered-workload.ts'
import { boundRoutes } from './bound-route.ts'
import { declaredEndpoints } from './declared-endpoints.ts'
import { declaredServices } from './declared-services.ts'
import { type MeshDocuments, noDocuments } from './mesh-documents.ts'
import type { MeshModel, MeshRouting } from './mesh-model.ts'
import type { MeshEndpoint, MeshService } from './mesh-service.ts'
import { compareText } from './object-meta.ts'
import { RegisteredEndpoints } from './registered-endpoints.ts'

/** Puts documents and registered workloads together. What did not change keeps its identity from one model to the next. */
export class ModelBuilder {
  #documents: MeshDocuments = noDocuments
  #declared: ReadonlyMap<string, MeshService> = new Map()
  #listed: ReadonlyMap<string, readonly MeshEndpoint[]> = new Map()
  #registered = new RegisteredEndpoints(noDocuments, this.#declared)
  #model: MeshModel = {
    routing: {
      services: new Map(),
      virtualServices: [],
      boundRoutes: [],
      destinationRules: [],
      peerAuthentications: [],
      extensionProviders: new Map(),
      authorizationPolicies: [],
      requestAuthentications: [],
    },
    endpoints: new Map(),
  }

  /** Workloads of the last model that serve nothing: a document declares their service and selects others. */
  orphans: readonly RegisteredWorkload[] = []

  build(documents: MeshDocuments, workloads: readonly RegisteredWorkload[]): MeshModel {
    const isNew = documents !== this.#documents
    if (isNew) {
      this.#documents = documents
      this.#declared = declaredServices(documents)
      this.#listed = declaredEndpoints(documents, this.#declared)
      this.#registered = new RegisteredEndpoints(documents, this.#declared)
    }
    const { services: implicit, endpoints: joined, orphans } = this.#registered.join(workloads)
    this.orphans = orphans
    const services = new Map([...this.#declared, ...implicit].sort(([a], [b]) => compareText(a, b)))
    const { virtualServices, destinationRules, peerAuthentications, authorizationPolicies, requestAuthentications } = documents
    const providers = documents.meshConfigs.flatMap(each => each.extensionProviders)
    const extensionProviders = new Map(providers.map(each => [each.name, each]))
    const previous = this.#model.routing
    const isSameRouting = !isNew && isDeepStrictEqual(services, previous.services)
    const routing: MeshRouting = isSameRouting
      ? previous
      : {
          ...{ services, virtualServices, boundRoutes: boundRoutes(documents), destinationRules, peerAuthentications },
          ...{ extensionProviders, authorizationPolicies, requestAuthentications },
        }
    const endpoints = new Map<string, readonly MeshEndpoint[]>()
    for (const host of services.keys()) {
      const all = [...(this.#listed.get(host) ?? []), ...(joined.get(host) ?? [])]
      const known = this.#model.endpoints.get(host)
      const isSame = known?.length === all.length && all.every((endpoint, index) => endpoint === known[index])
      endpoints.set(host, isSame && known ? known : all)
    }
    this.#model = { routing, endpoints }
    return this.#model
  }
}
