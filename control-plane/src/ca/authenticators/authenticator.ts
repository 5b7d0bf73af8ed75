import type { PeerIdentity } from '../../xds/grpc-call.ts'
import type { AuthenticationMethod } from '../issuance-record.ts'

/** What a caller presents. */
export interface Credentials {
  /** The bearer token of `authorization`; `undefined` without one. */
  readonly bearer: string | undefined
  /** What its client certificate says, checked by the TLS server; `undefined` without a valid one. */
  readonly peerIdentity: PeerIdentity | undefined
}

/** A proven identity. */
export interface Caller {
  readonly spiffeId: string
  readonly method: AuthenticationMethod
  /** Uses a one-time proof up, right before it is acted on. False when another caller was faster. */
  redeem?(): Promise<boolean>
  /** Makes a proof that was used up good again, when nothing came of it. */
  giveBack?(): Promise<void>
}

/** The credentials prove nothing. The message is for the log: callers are told nothing. */
export class AuthenticationError extends Error {}

/** Whether the credentials prove anything cannot be told at present. The message is for the log. */
export class AuthenticatorUnavailableError extends Error {}

/** Decides who a caller is from one kind of proof. */
export interface Authenticator {
  /** Whether this kind of proof is presented. It is then the one that counts, valid or not. */
  claims(credentials: Credentials): boolean
  /**
   * @throws {AuthenticationError} when the proof is not valid
   * @throws {AuthenticatorUnavailableError} when that cannot be told
   */
  authenticate(credentials: Credentials): Promise<Caller>
}
