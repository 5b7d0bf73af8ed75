import { formatResourceName, isFederated, parseResourceName } from './resource-name.ts'
import type { ResourceSource } from './resource-source.ts'
import { type ResourceKind, type ResourceModels, typeUrls } from './resource-type.ts'
import type { ResourceWatcher } from './resource-watcher.ts'

/** Whom to ask for a resource, and under which name; or why nobody can be asked. */
type Destination<S> =
  | { readonly kind: 'source'; readonly source: S; readonly name: string }
  | { readonly kind: 'nobody'; readonly message: string }

/** Asks for each resource where its name says (gRFC A47). A name that leads nowhere is an error of whoever asks for it. */
export class FederatedSource<S extends ResourceSource> implements ResourceSource {
  readonly #default: S
  readonly #authorities: ReadonlyMap<string, S>

  /**
   * @param main for names that say no authority
   * @param authorities for `xdstp:` names, by their authority
   */
  constructor(main: S, authorities: ReadonlyMap<string, S>) {
    this.#default = main
    this.#authorities = authorities
  }

  watch<K extends ResourceKind>(kind: K, name: string, watcher: ResourceWatcher<ResourceModels[K]>): () => void {
    const destination = this.#find(kind, name)
    if (destination.kind === 'source') return destination.source.watch(kind, destination.name, watcher)
    const message = `${messageNameOf(kind)} ${JSON.stringify(name)}: ${destination.message}`
    watcher.onResourceChanged({ ok: false, error: { reason: 'invalid', message } })
    return () => {}
  }

  /** Who is asked for a resource, and under which name; `undefined`: nobody. */
  resolve(kind: ResourceKind, name: string): { readonly source: S; readonly name: string } | undefined {
    const destination = this.#find(kind, name)
    return destination.kind === 'source' ? destination : undefined
  }

  #find(kind: ResourceKind, name: string): Destination<S> {
    if (!isFederated(name)) return { kind: 'source', source: this.#default, name }
    const parsed = parseResourceName(name)
    if (parsed === undefined) return { kind: 'nobody', message: 'is no xdstp: name' }
    const type = typeUrls[kind].slice(typeUrls[kind].lastIndexOf('/') + 1)
    if (parsed.type !== type) return { kind: 'nobody', message: `names a ${parsed.type}, must be a ${type}` }
    const source = this.#authorities.get(parsed.authority)
    if (source !== undefined) return { kind: 'source', source, name: formatResourceName(parsed) }
    return { kind: 'nobody', message: `the bootstrap has no authority ${JSON.stringify(parsed.authority)}` }
  }
}

function messageNameOf(kind: ResourceKind): string {
  return typeUrls[kind].slice(typeUrls[kind].lastIndexOf('.') + 1)
}
