import { InboundDemand } from './inbound-demand.ts'
import type { MeshDocuments } from './model/mesh-documents.ts'
import type { MeshModel, MeshRouting } from './model/mesh-model.ts'
import { ModelBuilder } from './model/model-builder.ts'
import type { RegisteredWorkload } from './registry/registered-workload.ts'
import type { Problem } from './sources/problem.ts'
import type { SourceDocument } from './sources/source-document.ts'
import { relevantView } from './translate/relevant-view.ts'
import { Translator, type TranslatorOptions } from './translate/translator.ts'
import { type View, viewKey } from './translate/view.ts'
import { readDocuments } from './validate/read-documents.ts'
import type { ViewResources } from './xds/ads-server.ts'
import type { Resources } from './xds/snapshot.ts'

/** What became of a change of the documents. */
export type ApplyResult =
  | { readonly kind: 'accepted'; readonly revision: number; readonly warnings: readonly Problem[] }
  /** The last good revision goes on. Errors and warnings. */
  | { readonly kind: 'refused'; readonly problems: readonly Problem[] }

interface Translation {
  readonly translator: Translator
  model: MeshModel | undefined
  resources: Resources
  /** When it was last asked for. */
  revision: number
  /** The demand for listeners of servers that it was told of. */
  demand: { readonly routing: MeshRouting; readonly version: number } | undefined
}

/** A view that nobody asked for through this many revisions is forgotten. */
const forgetAfter = 100

/** The last good revision of the mesh, and its translation for each view. */
export class MeshState {
  readonly #builder = new ModelBuilder()
  readonly #translations = new Map<string, Translation>()
  readonly #options: TranslatorOptions
  readonly #demand = new InboundDemand()
  #documents: MeshDocuments | undefined
  #workloads: readonly RegisteredWorkload[] = []
  #model: MeshModel | undefined
  #revision = 0

  constructor(options: TranslatorOptions = {}) {
    this.#options = options
  }

  /** Number of the revision that is served; 0 before the first. */
  get revision(): number {
    return this.#revision
  }

  /** The mesh as it is served; `undefined` before the first good revision. */
  get model(): MeshModel | undefined {
    return this.#model
  }

  /** Registered workloads that serve nothing: a document declares their service, and its selector leaves them out. */
  get orphans(): readonly RegisteredWorkload[] {
    return this.#builder.orphans
  }

  /**
   * Takes a new set of documents, all or none: one error refuses the whole change.
   *
   * @param problems what was found before the documents could be decoded
   */
  apply(sources: readonly SourceDocument[], problems: readonly Problem[] = []): ApplyResult {
    const decoded = readDocuments(sources)
    const all = [...problems, ...decoded.problems]
    if (all.some(({ severity }) => severity === 'error')) return { kind: 'refused', problems: all }
    this.#documents = decoded.documents
    this.#rebuild()
    return { kind: 'accepted', revision: this.#revision, warnings: all }
  }

  /** Takes the workloads that are there now. Gives whether a client could tell. */
  setWorkloads(workloads: readonly RegisteredWorkload[]): boolean {
    this.#workloads = workloads
    return this.#rebuild()
  }

  /** The resources of a view; `undefined` before the first good revision. */
  resourcesOf(view: View): ViewResources | undefined {
    const model = this.#model
    if (!model) return undefined
    const translation = this.#translationOf(model, view)
    if (translation.model !== model) {
      translation.resources = translation.translator.translate(model)
      translation.model = model
    }
    translation.revision = this.#revision
    return { revision: String(this.#revision), resources: translation.resources }
  }

  /** A client of the view asks for listeners of servers, which are made from now on. Returns whether nobody did before. */
  demandInbound(view: View, names: readonly string[]): boolean {
    return this.#demand.add(view, names)
  }

  /** A client of the view asks for them no more. */
  releaseInbound(view: View, names: readonly string[]): void {
    this.#demand.remove(view, names)
  }

  #translationOf({ routing }: MeshModel, view: View): Translation {
    const relevant = relevantView(routing, view)
    const key = viewKey(relevant)
    let translation = this.#translations.get(key)
    if (!translation) {
      const translator = new Translator(relevant, this.#options)
      translation = { translator, model: undefined, resources: new Map(), revision: 0, demand: undefined }
      this.#translations.set(key, translation)
    }
    const { version } = this.#demand
    if (translation.demand?.routing !== routing || translation.demand.version !== version) {
      translation.demand = { routing, version }
      if (translation.translator.serveInbound(this.#demand.namesOf(routing, key))) translation.model = undefined
    }
    return translation
  }

  #rebuild(): boolean {
    if (!this.#documents) return false
    const previous = this.#model
    const model = this.#builder.build(this.#documents, this.#workloads)
    const isSame =
      previous?.routing === model.routing &&
      previous.endpoints.size === model.endpoints.size &&
      [...model.endpoints].every(([host, endpoints]) => previous.endpoints.get(host) === endpoints)
    if (isSame) return false
    this.#model = model
    this.#revision += 1
    for (const [key, { revision }] of this.#translations) {
      if (revision < this.#revision - forgetAfter) this.#translations.delete(key)
    }
    return true
  }
}
