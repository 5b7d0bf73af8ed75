import type { MeshRouting } from './model/mesh-model.ts'
import { relevantView } from './translate/relevant-view.ts'
import { type View, viewKey } from './translate/view.ts'

/** What the clients of one view ask for. */
interface Demand {
  readonly view: View
  /** How many clients ask for each name. */
  readonly names: Map<string, number>
  /** Key of the translation that the view has in a mesh, kept since it is looked for often. */
  known: { readonly routing: MeshRouting; readonly key: string } | undefined
}

/**
 * The listeners of servers that clients ask for by name. They are kept by the whole view of a client: which part of it makes a difference, and
 * so which translation it has, changes with the documents.
 */
export class InboundDemand {
  readonly #demands = new Map<string, Demand>()
  #version = 0

  /** Grows with each change of what is asked for. */
  get version(): number {
    return this.#version
  }

  /** Returns whether nobody of the view asked for one of them before. */
  add(view: View, names: readonly string[]): boolean {
    const key = viewKey(view)
    const demand = this.#demands.get(key) ?? { view, names: new Map<string, number>(), known: undefined }
    this.#demands.set(key, demand)
    const before = demand.names.size
    for (const name of names) demand.names.set(name, (demand.names.get(name) ?? 0) + 1)
    if (demand.names.size === before) return false
    this.#version++
    return true
  }

  /** A client asks for them no more. */
  remove(view: View, names: readonly string[]): void {
    const key = viewKey(view)
    const demand = this.#demands.get(key)
    if (demand === undefined) return
    for (const name of names) {
      const count = demand.names.get(name) ?? 0
      if (count > 1) demand.names.set(name, count - 1)
      else if (demand.names.delete(name)) this.#version++
    }
    if (demand.names.size === 0) this.#demands.delete(key)
  }

  /** What is asked for in the views that one translation serves. */
  namesOf(routing: MeshRouting, translation: string): ReadonlySet<string> {
    const names = new Set<string>()
    for (const demand of this.#demands.values()) {
      if (demand.known?.routing !== routing) demand.known = { routing, key: viewKey(relevantView(routing, demand.view)) }
      if (demand.known.key === translation) for (const name of demand.names.keys()) names.add(name)
    }
    return names
  }
}
