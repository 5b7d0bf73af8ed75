import type { DeltaRequest } from './discovery-message.ts'
import type { TypeSubscription } from './type-subscription.ts'

/** What one type's side of a stream has to say in the incremental protocol. Pure: it decides, others send. */
export class DeltaSubscription implements TypeSubscription {
  readonly #typeUrl: string
  #version = ''
  #nonce = ''
  /** What the server knows to be wanted on this stream; `undefined` before the first request. */
  #sent: ReadonlySet<string> | undefined
  #answer: { readonly nonce: string; readonly refusal: string | undefined } | undefined

  constructor(typeUrl: string) {
    this.#typeUrl = typeUrl
  }

  get version(): string {
    return this.#version
  }

  get nonce(): string {
    return this.#nonce
  }

  open(): void {
    this.#nonce = ''
    this.#sent = undefined
    this.#answer = undefined
  }

  respond(version: string, nonce: string, refusal: string | undefined): void {
    this.#nonce = nonce
    if (refusal === undefined) this.#version = version
    this.#answer = { nonce, refusal }
  }

  differs(names: ReadonlySet<string>): boolean {
    const sent = this.#sent
    return sent === undefined ? names.size > 0 : sent.size !== names.size || missing(names, sent).length > 0
  }

  /** `initial_resource_versions` is only for the first request of a stream, and lets the server send just what changed. */
  poll(names: ReadonlySet<string>, versionOf: (name: string) => string | undefined): DeltaRequest | undefined {
    // An empty first request would mean everything.
    if (this.#sent === undefined && names.size === 0) return undefined
    if (this.#answer === undefined && !this.differs(names)) return undefined
    const isFirst = this.#sent === undefined
    const sent: ReadonlySet<string> = this.#sent ?? new Set()
    const request: DeltaRequest = {
      protocol: 'delta',
      typeUrl: this.#typeUrl,
      nonce: this.#answer?.nonce ?? '',
      refusal: this.#answer?.refusal,
      subscribe: missing(names, sent),
      unsubscribe: missing(sent, names),
      initialVersions: isFirst ? versionsOf(names, versionOf) : {},
    }
    this.#answer = undefined
    this.#sent = new Set(names)
    return request
  }
}

/** Those of `names` that are not in `others`. */
function missing(names: ReadonlySet<string>, others: ReadonlySet<string>): string[] {
  return [...names].filter(name => !others.has(name))
}

function versionsOf(
  names: ReadonlySet<string>,
  versionOf: (name: string) => string | undefined,
): Readonly<Record<string, string>> {
  // A resource may be called `__proto__`.
  const versions: Record<string, string> = Object.create(null)
  for (const name of names) {
    const version = versionOf(name)
    if (version) versions[name] = version
  }
  return versions
}
