import type { AdsRequest } from './discovery-message.ts'

/** One type's side of a stream, in either protocol: what to send next, given what is wanted and what arrived. No I/O. */
export interface TypeSubscription {
  /** `version_info` of the last response accepted, or `system_version_info`. For people to read. */
  readonly version: string
  /** Of the last response of this stream; empty before it. */
  readonly nonce: string
  /** A new stream begins: nothing was sent or received on it. */
  open(): void
  /** A response was applied; `refusal` names everything that is wrong with it and makes the answer a NACK. */
  respond(version: string, nonce: string, refusal: string | undefined): void
  /** Whether the server must hear of the names, apart from any ACK. */
  differs(names: ReadonlySet<string>): boolean
  /**
   * The one request that says everything there is to say now, an ACK or NACK included, or `undefined`.
   *
   * @param names all that is wanted
   * @param versionOf the version of a resource that is held, for servers that can skip it
   */
  poll(names: ReadonlySet<string>, versionOf: (name: string) => string | undefined): AdsRequest | undefined
}
