import type { DiscoveryRequest } from 'inmesh/gen/envoy/service/discovery/v3/discovery_pb'
import type { EncodedResource } from './encoded-resource.ts'
import { isFullState } from './resource-type.ts'
import type { ResponseContent } from './response-frame.ts'
import type { EncodedResources } from './snapshot.ts'
import type { Acknowledgement, CollectOptions, Subscription, SubscriptionChange } from './subscription.ts'

const stale: SubscriptionChange = { current: false, added: [], removed: [] }

/**
 * One client's subscription to one type in the state-of-the-world protocol. LDS and CDS responses hold the whole subscribed set;
 * those of other types hold what changed or was newly asked for.
 */
export class SotwSubscription implements Subscription {
  readonly typeUrl: string
  wildcard = false
  nonce = ''
  acknowledgement: Acknowledgement = { state: 'none' }
  #names: ReadonlySet<string> = new Set()
  readonly #fullState: boolean
  /** What the client has, or was last sent: a refused resource counts, so that it is not sent again. */
  readonly #sent = new Map<string, EncodedResource>()
  readonly #owed = new Set<string>()
  readonly #dirty = new Set<string>()
  readonly #leaving = new Set<string>()
  #held: ReadonlySet<string> | 'all' | undefined
  #answerDue = false
  #everything = false
  #named = false
  #opened = false

  constructor(typeUrl: string) {
    this.typeUrl = typeUrl
    this.#fullState = isFullState(typeUrl)
  }

  get names(): ReadonlySet<string> {
    return this.#names
  }

  get urgent(): boolean {
    return this.#held !== 'all' && (this.#owed.size > 0 || this.#answerDue)
  }

  get pending(): boolean {
    return this.urgent || this.#everything || this.#dirty.size > 0
  }

  get leaving(): boolean {
    return this.#leaving.size > 0
  }

  covers(name: string): boolean {
    return this.wildcard || this.#names.has(name)
  }

  markDirty(name: string): void {
    this.#dirty.add(name)
  }

  force(name: string): void {
    this.#sent.delete(name)
    this.#dirty.add(name)
  }

  hold(): void {
    this.#held = this.#fullState || this.wildcard ? 'all' : this.#names
  }

  release(): void {
    this.#held = undefined
  }

  /** Takes one request. One whose nonce is not that of the last response is stale and ignored, whatever it says. */
  request(request: DiscoveryRequest): SubscriptionChange {
    const first = !this.#opened
    // On a new stream the first request may bring along the nonce of the stream before.
    if (!first && request.responseNonce !== this.nonce) return stale
    this.#opened = true
    if (!first) this.#acknowledge(request)

    const before = this.#names
    const names = new Set(request.resourceNames)
    const wildcard = names.delete('*') || (request.resourceNames.length === 0 && !this.#named)
    if (request.resourceNames.length > 0) this.#named = true
    names.delete('')
    const added = [...names].filter(name => !before.has(name))
    const removed = [...before].filter(name => !names.has(name))
    const widened = wildcard && !this.wildcard
    this.wildcard = wildcard
    this.#names = names
    for (const name of this.#sent.keys()) if (!this.covers(name)) this.#forget(name)
    for (const name of removed) if (!this.covers(name)) this.#forget(name)

    if (widened) {
      this.#everything = true
      this.#answerDue = true
    }
    if (added.length > 0) {
      if (this.#fullState) this.#answerDue = true
      else for (const name of added) this.#owed.add(name)
    }
    return { current: true, added, removed }
  }

  #acknowledge({ errorDetail }: DiscoveryRequest): void {
    if (this.acknowledgement.state === 'none') return
    const { version } = this.acknowledgement
    this.acknowledgement = errorDetail
      ? { state: 'refused', version, detail: errorDetail.message }
      : { state: 'accepted', version }
  }

  #forget(name: string): void {
    this.#sent.delete(name)
    this.#owed.delete(name)
    this.#leaving.delete(name)
  }

  collect(resources: EncodedResources, options: CollectOptions): ResponseContent | undefined {
    if (this.#held === 'all') return undefined
    if (this.#everything) {
      for (const name of resources.keys()) this.#dirty.add(name)
      this.#everything = false
    }
    return this.#fullState ? this.#collectAll(resources, options) : this.#collectChanged(resources, options)
  }

  #collectAll(resources: EncodedResources, { removals }: CollectOptions): ResponseContent | undefined {
    let differs = this.#answerDue
    for (const name of this.#dirty) {
      if (!this.covers(name)) continue
      const resource = resources.get(name)
      if (resource) {
        this.#leaving.delete(name)
        if (this.#sent.get(name)?.version !== resource.version) differs = true
      } else if (this.#sent.has(name)) this.#leaving.add(name)
    }
    this.#dirty.clear()
    if (removals && this.#leaving.size > 0) {
      for (const name of this.#leaving) this.#sent.delete(name)
      this.#leaving.clear()
      differs = true
    }
    if (!differs) return undefined
    this.#answerDue = false
    const content: Content = { resources: [], changed: [], absent: [] }
    for (const name of this.wildcard ? resources.keys() : this.#names) {
      const resource = resources.get(name)
      if (!resource) continue
      content.resources.push(resource)
      if (this.#sent.get(name)?.version !== resource.version) content.changed.push(resource)
      this.#sent.set(name, resource)
    }
    // Absence means deletion here, so what is to leave later is repeated until then.
    for (const name of this.#leaving) {
      const resource = this.#sent.get(name)
      if (resource) content.resources.push(resource)
    }
    for (const name of this.#names) if (!resources.has(name) && !this.#leaving.has(name)) content.absent.push(name)
    return content
  }

  #collectChanged(resources: EncodedResources, { removals, maxBytes }: CollectOptions): ResponseContent | undefined {
    const sending: EncodedResource[] = []
    const content: Content = { resources: sending, changed: sending, absent: [] }
    let bytesLeft = maxBytes
    const add = (resource: EncodedResource) => {
      content.resources.push(resource)
      bytesLeft -= resource.sotwField.length
      this.#sent.set(resource.name, resource)
    }
    const held = this.#held === 'all' ? undefined : this.#held
    for (const name of this.#owed) {
      if (bytesLeft <= 0) break
      if (held?.has(name)) continue
      this.#owed.delete(name)
      this.#dirty.delete(name)
      const resource = resources.get(name)
      if (resource) add(resource)
      else content.absent.push(name)
    }
    for (const name of this.#dirty) {
      if (bytesLeft <= 0) break
      if (held?.has(name)) continue
      this.#dirty.delete(name)
      if (!this.covers(name)) continue
      const resource = resources.get(name)
      if (!resource) {
        if (this.#sent.has(name)) this.#leaving.add(name)
        continue
      }
      this.#leaving.delete(name)
      if (this.#sent.get(name)?.version !== resource.version) add(resource)
    }
    if (removals) {
      for (const name of this.#leaving) {
        content.absent.push(name)
        this.#sent.delete(name)
      }
      this.#leaving.clear()
    }
    const due = this.#answerDue
    this.#answerDue = false
    return due || content.resources.length > 0 || content.absent.length > 0 ? content : undefined
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
}
