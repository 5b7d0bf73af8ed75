import type { Clock } from '../runtime.ts'
import { DeltaSubscription } from './delta-subscription.ts'
import type { AdsRequest, AdsResponse, WireResource, XdsProtocol } from './discovery-message.ts'
import { canonicalName } from './resource-name.ts'
import { ResourceStore, type ResourceStoreOptions } from './resource-store.ts'
import { isFullState, type ResourceKind, typeUrls } from './resource-type.ts'
import type { DecodedResource, ResourceType } from './resources/decode.ts'
import { runInSlices } from './run-in-slices.ts'
import { SotwSubscription } from './sotw-subscription.ts'
import type { TypeSubscription } from './type-subscription.ts'

/** gRPC status codes that say that a resource is not there for this client (gRFC A88). */
const dataErrorCodes = [5, 7]

interface Judged<T> {
  readonly resource: WireResource
  readonly name: string
  /** `undefined`: the resource held, once more. */
  readonly result: DecodedResource<T>['decoded'] | undefined
}

/** One type of resource on the stream: what is watched of it, what was said about it, and what to say next. */
export class ResourceSubscription<T> {
  readonly kind: ResourceKind
  readonly typeUrl: string
  readonly store: ResourceStore<T>
  /** Of the last response, if it was refused. */
  refusal: string | undefined
  readonly #clock: Clock
  #subscription: TypeSubscription
  #protocol: XdsProtocol
  /** What is held came from another server than the one that is spoken to. */
  #isForeign = false

  constructor(kind: ResourceKind, protocol: XdsProtocol, options: Omit<ResourceStoreOptions, 'kind'>) {
    this.kind = kind
    this.typeUrl = typeUrls[kind]
    this.store = new ResourceStore({ ...options, kind: this.typeUrl.slice(this.typeUrl.lastIndexOf('.') + 1) })
    this.#clock = options.clock
    this.#protocol = protocol
    this.#subscription = newSubscription(protocol, this.typeUrl)
  }

  get version(): string {
    return this.#subscription.version
  }

  get nonce(): string {
    return this.#subscription.nonce
  }

  /**
   * A new stream begins.
   *
   * @param isElsewhere on another server than the last: versions of that one mean nothing here
   */
  open(protocol: XdsProtocol, isElsewhere: boolean): void {
    if (isElsewhere) this.#isForeign = true
    if (protocol !== this.#protocol || isElsewhere) this.#subscription = newSubscription(protocol, this.typeUrl)
    this.#protocol = protocol
    this.#subscription.open()
  }

  /** Whether the server must hear of the names that are watched now. */
  get differs(): boolean {
    return this.#subscription.differs(this.store.sweep())
  }

  /**
   * The next request, if there is something to say.
   *
   * @param placeholder a name to ask for when there is none: a request without names would ask for everything
   */
  poll(placeholder?: string): AdsRequest | undefined {
    const names = this.store.sweep()
    const wanted = names.size === 0 && placeholder !== undefined ? new Set([placeholder]) : names
    return this.#subscription.poll(wanted, name => (this.#isForeign ? undefined : this.store.versionOf(name)))
  }

  /**
   * Takes over every good resource of a response and tells the watchers; the last good one stays where a bad one came (gRFC A46).
   *
   * @returns everything that is wrong with it
   */
  async apply(response: AdsResponse, type: ResourceType<T>): Promise<readonly string[]> {
    const problems: string[] = []
    const judged: Judged<T>[] = []
    const seen = new Set<string>()
    const judgements = await runInSlices(this.#judgeAll(response.resources, type), this.#clock)
    for (const [index, one] of judgements.entries()) {
      if (typeof one === 'string') problems.push(`resources[${index}]: ${one}`)
      else if (seen.has(one.name)) problems.push(`resources[${index}]: ${JSON.stringify(one.name)} is there twice`)
      else judged.push(one)
      seen.add(typeof one === 'string' ? '' : one.name)
    }
    for (const { name, resource, result } of judged) {
      if (result === undefined) this.store.keep(name, resource.version)
      else if (result.ok) this.store.accept(name, result.value, resource.bytes, resource.version)
      else if (name === '' || this.store.has(name)) {
        problems.push(...result.errors)
        this.store.refuse(name, result.errors.join('; '), resource.version)
      }
    }
    this.#applyAbsence(response, seen)
    return problems
  }

  /** The response was applied while its stream was still there. */
  respond({ version, nonce }: AdsResponse, problems: readonly string[]): void {
    this.#isForeign = false
    this.refusal = problems.length === 0 ? undefined : problems.join('; ')
    this.#subscription.respond(version, nonce, this.refusal)
  }

  *#judgeAll(
    resources: readonly WireResource[],
    type: ResourceType<T>,
  ): Generator<undefined, readonly (Judged<T> | string)[], undefined> {
    const judgements: (Judged<T> | string)[] = []
    for (const resource of resources) {
      judgements.push(yield* this.#judge(resource, type))
      yield undefined
    }
    return judgements
  }

  *#judge(resource: WireResource, type: ResourceType<T>): Generator<undefined, Judged<T> | string, undefined> {
    if (resource.typeUrl !== this.typeUrl) return `type_url must be ${this.typeUrl}, got ${JSON.stringify(resource.typeUrl)}`
    const wrapperName = canonicalName(resource.name)
    if (wrapperName !== '' && this.store.holds(wrapperName, resource.bytes)) {
      return { resource, name: wrapperName, result: undefined }
    }
    const { name: ownName, decoded } = yield* type.decodeInSlices(resource.bytes, held => this.store.held(canonicalName(held)))
    const name = wrapperName || canonicalName(ownName)
    return { resource, name, result: this.store.holds(name, resource.bytes) ? undefined : decoded }
  }

  #applyAbsence(response: AdsResponse, seen: ReadonlySet<string>): void {
    const explained = new Set(response.errors.map(({ name }) => canonicalName(name)))
    for (const { name: given, code, message } of response.errors) {
      const name = canonicalName(given)
      if (dataErrorCodes.includes(code)) this.store.deny(name, message, response.version)
      else this.store.unavailable(name, message, response.version)
    }
    for (const name of response.removed.map(canonicalName)) if (!explained.has(name)) this.store.remove(name, response.version)
    // One that has no name may be any of them. One that is only requested may have been requested after this was written.
    if (this.#protocol === 'delta' || !isFullState[this.kind] || seen.has('')) return
    for (const name of [...this.store.cachedNames()])
      if (!seen.has(name) && !explained.has(name)) this.store.remove(name, response.version)
  }
}

function newSubscription(protocol: XdsProtocol, typeUrl: string): TypeSubscription {
  return protocol === 'delta' ? new DeltaSubscription(typeUrl) : new SotwSubscription(typeUrl)
}
