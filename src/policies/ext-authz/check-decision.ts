import type { HeaderChange } from './header-change.ts'

/** What an authorizer says of a request. */
export type CheckDecision = CheckAllowed | CheckDenied | CheckFailed

/** The request passes, with changes. */
export interface CheckAllowed {
  readonly kind: 'allowed'
  /** In order. */
  readonly requestHeaders: readonly HeaderChange[]
  /** Lower case; after the changes. */
  readonly requestHeadersToRemove: readonly string[]
  /** Of the answer, whoever gives it. */
  readonly responseHeaders: readonly HeaderChange[]
  readonly queryToSet: readonly (readonly [string, string])[]
  readonly queryToRemove: readonly string[]
  /** For later filters. */
  readonly metadata: Readonly<Record<string, unknown>> | undefined
}

/** The caller gets this answer in place of the application's. */
export interface CheckDenied {
  readonly kind: 'denied'
  /** HTTP status. */
  readonly status: number
  readonly headers: readonly HeaderChange[]
  readonly body: Uint8Array
  readonly metadata: Readonly<Record<string, unknown>> | undefined
}

/** There was no answer, or none that is one. */
export interface CheckFailed {
  readonly kind: 'failed'
  /** For the operator. */
  readonly reason: string
}
