import { hash } from 'node:crypto'
import type { Message } from '@bufbuild/protobuf'
import { type EncodedResource, encodeResource } from './encoded-resource.ts'

/** What a translation yields: by type URL, by resource name. */
export type Resources = ReadonlyMap<string, ReadonlyMap<string, Message>>

/** The encoded resources of one type, by name. */
export type EncodedResources = ReadonlyMap<string, EncodedResource>

const none: EncodedResources = new Map()

/** The whole configuration of one view at one revision. Immutable. */
export class Snapshot {
  /** Names the revision in `system_version_info`; for people only. */
  readonly revision: string
  readonly #types: ReadonlyMap<string, EncodedResources>
  readonly #versions = new Map<string, string>()

  constructor(revision: string, types: ReadonlyMap<string, EncodedResources>) {
    this.revision = revision
    this.#types = types
  }

  /** The resources of a type; empty for a type that has none or is unknown. */
  ofType(typeUrl: string): EncodedResources {
    return this.#types.get(typeUrl) ?? none
  }

  typeUrls(): Iterable<string> {
    return this.#types.keys()
  }

  /** `version_info` of a type in SotW responses: a hash over names and versions, independent of their order. */
  versionOf(typeUrl: string): string {
    let version = this.#versions.get(typeUrl)
    if (version === undefined) {
      const lines = Array.from(this.ofType(typeUrl).values(), ({ name, version }) => `${name}\0${version}`)
      version = hash('sha256', lines.sort().join('\n'), 'hex').slice(0, 16)
      this.#versions.set(typeUrl, version)
    }
    return version
  }
}

/** A snapshot with nothing in it. */
export const emptySnapshot = new Snapshot('', new Map())

/** Turns translations into snapshots, encoding each message object once whatever number of views and revisions holds it. */
export class SnapshotEncoder {
  readonly #encoded = new WeakMap<Message, EncodedResource>()
  readonly #snapshots = new WeakMap<Resources, Snapshot>()

  /**
   * Encodes `resources`. A resource whose bytes are those of `previous` keeps its identity, and so does the map of a type in which
   * nothing changed. The same resources give the same snapshot: views that do not differ share it.
   */
  encode(revision: string, resources: Resources, previous: Snapshot = emptySnapshot): Snapshot {
    const known = this.#snapshots.get(resources)
    if (known?.revision === revision) return known
    const types = new Map<string, EncodedResources>()
    for (const [typeUrl, messages] of resources) types.set(typeUrl, this.#encodeType(typeUrl, messages, previous.ofType(typeUrl)))
    const snapshot = new Snapshot(revision, types)
    this.#snapshots.set(resources, snapshot)
    return snapshot
  }

  #encodeType(typeUrl: string, messages: ReadonlyMap<string, Message>, previous: EncodedResources): EncodedResources {
    const next = new Map<string, EncodedResource>()
    let same = messages.size === previous.size
    for (const [name, message] of messages) {
      const known = previous.get(name)
      let encoded = this.#encoded.get(message)
      // One message object may stand under two names.
      if (encoded?.name !== name) encoded = encodeResource(typeUrl, name, message)
      if (known?.version === encoded.version) encoded = known
      this.#encoded.set(message, encoded)
      if (encoded !== known) same = false
      next.set(name, encoded)
    }
    return same ? previous : next
  }
}

/** Names that were added, changed or removed between two snapshots, by type URL. */
export function changedNames(from: Snapshot, to: Snapshot): ReadonlyMap<string, readonly string[]> {
  const changes = new Map<string, readonly string[]>()
  if (from === to) return changes
  for (const typeUrl of new Set([...from.typeUrls(), ...to.typeUrls()])) {
    const before = from.ofType(typeUrl)
    const after = to.ofType(typeUrl)
    if (before === after) continue
    const changed: string[] = []
    for (const [name, resource] of after) if (before.get(name)?.version !== resource.version) changed.push(name)
    for (const name of before.keys()) if (!after.has(name)) changed.push(name)
    changes.set(typeUrl, changed)
  }
  return changes
}
