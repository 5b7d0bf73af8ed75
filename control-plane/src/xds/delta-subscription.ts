import type { DeltaDiscoveryRequest } from 'inmesh/gen/envoy/service/discovery/v3/discovery_pb'
import type { EncodedResource } from './encoded-resource.ts'
import type { ResponseContent } from './response-frame.ts'
import type { EncodedResources } from './snapshot.ts'
import type { Acknowledgement, CollectOptions, Subscription, SubscriptionChange } from './subscription.ts'

/** One client's subscription to one type in the incremental protocol. */
export class DeltaSubscription implements Subscription {
  readonly typeUrl: string
  readonly names = new Set<string>()
  wildcard = false
  nonce = ''
  acknowledgement: Acknowledgement = { state: 'none' }
  /** Versions the client has, or was last sent: a refused one counts, so that it is not sent again. */
  readonly #versions = new Map<string, string>()
  /** Names asked for, to be answered whatever their version. */
  readonly #owed = new Set<string>()
  /** Names to compare with what the client has. */
  readonly #dirty = new Set<string>()
  /** Names that vanished and whose removal was put off. */
  readonly #leaving = new Set<string>()
  /** Names the client brought along and keeps for now. */
  #held: Set<string> | undefined
  #emptyAnswerDue = false
  #everything = false
  #opened = false

  constructor(typeUrl: string) {
    this.typeUrl = typeUrl
  }

  get urgent(): boolean {
    return this.#owed.size > 0 || this.#emptyAnswerDue
  }

  get pending(): boolean {
    return this.urgent || this.#everything || this.#dirty.size > 0
  }

  get leaving(): boolean {
    return this.#leaving.size > 0
  }

  covers(name: string): boolean {
    return this.wildcard || this.names.has(name)
  }

  markDirty(name: string): void {
    this.#dirty.add(name)
  }

  force(name: string): void {
    this.#versions.delete(name)
    this.#dirty.add(name)
  }

  hold(): void {
    this.#held = new Set(this.#versions.keys())
  }

  release(): void {
    this.#held = undefined
  }

  /** Takes one request. A stale nonce does not make its subscription changes void; an outdated ACK just says nothing. */
  request(request: DeltaDiscoveryRequest): SubscriptionChange {
    const first = !this.#opened
    this.#opened = true
    this.#acknowledge(request)
    if (first) for (const [name, version] of Object.entries(request.initialResourceVersions)) this.#versions.set(name, version)

    const added: string[] = []
    const removed: string[] = []
    const { resourceNamesSubscribe: subscribe, resourceNamesUnsubscribe: unsubscribe } = request
    if (first && subscribe.length === 0 && unsubscribe.length === 0) this.#subscribeAll()
    for (const name of unsubscribe) if (this.#unsubscribe(name)) removed.push(name)
    for (const name of subscribe) if (this.#subscribe(name, first)) added.push(name)
    if (first && !this.wildcard) this.#forgetUncovered()
    return { current: true, added, removed }
  }

  #acknowledge({ responseNonce, errorDetail }: DeltaDiscoveryRequest): void {
    const version = 'version' in this.acknowledgement ? this.acknowledgement.version : ''
    if (errorDetail && this.nonce) this.acknowledgement = { state: 'refused', version, detail: errorDetail.message }
    else if (responseNonce && responseNonce === this.nonce) this.acknowledgement = { state: 'accepted', version }
  }

  #subscribeAll(): void {
    this.wildcard = true
    this.#everything = true
    this.#emptyAnswerDue = true
  }

  #subscribe(name: string, first: boolean): boolean {
    if (name === '*') {
      this.#subscribeAll()
      return false
    }
    if (name === '') return false
    const fresh = !this.names.has(name)
    this.names.add(name)
    this.#leaving.delete(name)
    // The versions a client brings along only count here: later the client may have forgotten what it once had.
    if (first && this.#versions.has(name)) this.#dirty.add(name)
    else this.#owed.add(name)
    return fresh
  }

  #unsubscribe(name: string): boolean {
    if (name === '*') {
      this.wildcard = false
      this.#everything = false
      this.#forgetUncovered()
      return false
    }
    const known = this.names.delete(name)
    // Under a wildcard the client cannot tell whether it still gets the resource: it must be told.
    if (this.wildcard) {
      if (known) this.#owed.add(name)
    } else this.#forget(name)
    return known
  }

  #forgetUncovered(): void {
    for (const name of this.#versions.keys()) if (!this.names.has(name)) this.#forget(name)
  }

  #forget(name: string): void {
    this.#versions.delete(name)
    this.#owed.delete(name)
    this.#leaving.delete(name)
  }

  collect(resources: EncodedResources, { removals, maxBytes }: CollectOptions): ResponseContent | undefined {
    if (this.#everything) {
      for (const name of resources.keys()) this.#dirty.add(name)
      for (const name of this.#versions.keys()) this.#dirty.add(name)
      this.#everything = false
    }
    const sending: EncodedResource[] = []
    const content: Content = { resources: sending, changed: sending, absent: [], bytesLeft: maxBytes }
    for (const name of this.#owed) {
      if (content.bytesLeft <= 0) break
      this.#owed.delete(name)
      this.#dirty.delete(name)
      const resource = resources.get(name)
      if (resource) this.#add(content, resource)
      else this.#remove(content, name)
    }
    for (const name of this.#dirty) {
      if (content.bytesLeft <= 0) break
      if (this.#held?.has(name)) continue
      this.#dirty.delete(name)
      if (!this.covers(name)) continue
      const resource = resources.get(name)
      if (!resource) {
        if (this.#versions.has(name)) this.#leaving.add(name)
        continue
      }
      this.#leaving.delete(name)
      if (this.#versions.get(name) !== resource.version) this.#add(content, resource)
    }
    if (removals) for (const name of this.#leaving) this.#remove(content, name)
    const due = this.#emptyAnswerDue
    this.#emptyAnswerDue = false
    return due || content.resources.length > 0 || content.absent.length > 0 ? content : undefined
  }

  #add(content: Content, resource: EncodedResource): void {
    content.resources.push(resource)
    content.bytesLeft -= resource.deltaField.length
    this.#versions.set(resource.name, resource.version)
  }

  #remove(content: Content, name: string): void {
    content.absent.push(name)
    this.#versions.delete(name)
    this.#leaving.delete(name)
  }

  sent(nonce: string, version: string): void {
    this.nonce = nonce
    this.acknowledgement = { state: 'waiting', version }
  }
}

interface Content {
  readonly resources: EncodedResource[]
  readonly changed: EncodedResource[]
  readonly absent: string[]
  bytesLeft: number
}
