import type { SotwRequest } from './discovery-message.ts'
import type { TypeSubscription } from './type-subscription.ts'

/** What one type's side of a stream has to say in the state-of-the-world protocol. Pure: it decides, others send. */
export class SotwSubscription implements TypeSubscription {
  readonly #typeUrl: string
  #version = ''
  #nonce = ''
  /** What was asked for on this stream; `undefined` before the first request. */
  #sent: ReadonlySet<string> | undefined
  #answer: { readonly refusal: string | undefined } | undefined

  constructor(typeUrl: string) {
    this.#typeUrl = typeUrl
  }

  get version(): string {
    return this.#version
  }

  get nonce(): string {
    return this.#nonce
  }

  /** A new stream: nonces are of one stream, versions stay (xDS "ACK/NACK and versioning"). */
  open(): void {
    this.#nonce = ''
    this.#sent = undefined
    this.#answer = undefined
  }

  /** A NACK keeps the version of the last response that was accepted, as Go does. */
  respond(version: string, nonce: string, refusal: string | undefined): void {
    this.#nonce = nonce
    if (refusal === undefined) this.#version = version
    this.#answer = { refusal }
  }

  /** Whether the names changed since they were last sent. */
  differs(names: ReadonlySet<string>): boolean {
    return this.#sent === undefined ? names.size > 0 : !sameNames(this.#sent, names)
  }

  poll(names: ReadonlySet<string>): SotwRequest | undefined {
    // Before anything was named an empty list would mean everything; after that it means nothing.
    if (this.#sent === undefined && names.size === 0) return undefined
    if (this.#answer === undefined && !this.differs(names)) return undefined
    const refusal = this.#answer?.refusal
    this.#answer = undefined
    this.#sent = new Set(names)
    return {
      protocol: 'sotw',
      typeUrl: this.#typeUrl,
      version: this.#version,
      nonce: this.#nonce,
      refusal,
      names: [...names],
    }
  }
}

function sameNames(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  return one.size === other.size && [...one].every(name => other.has(name))
}
