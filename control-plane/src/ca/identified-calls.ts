import { setWallTimeout } from 'inmesh/security/wall-timeout'
import type { Clock, Timer } from '../runtime.ts'
import type { GrpcCall, GrpcHandler, PeerIdentity } from '../xds/grpc-call.ts'
import { type StatusCode, statusCode } from '../xds/status-code.ts'
import { clockSkewMs } from './certificate-fields.ts'

interface IdentifiedCall {
  readonly call: GrpcCall
  readonly identity: PeerIdentity
  timer: Timer | undefined
}

/** The open calls that need a client certificate: none opens without one, and none outlives its certificate. */
export class IdentifiedCalls {
  readonly #clock: Clock
  readonly #open = new Set<IdentifiedCall>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The same handler for callers with a certificate; others get UNAUTHENTICATED. */
  require(handler: GrpcHandler): GrpcHandler {
    return call => {
      const { peerIdentity: identity } = call
      if (!identity) {
        call.end(statusCode.unauthenticated, 'a client certificate of this trust domain is required')
        return { onMessage() {}, onDrain() {}, onClose() {} }
      }
      const entry: IdentifiedCall = { call, identity, timer: undefined }
      this.#open.add(entry)
      this.#expire(entry)
      const listener = handler(call)
      return {
        onMessage: message => listener.onMessage(message),
        ...(listener.onEnd ? { onEnd: () => listener.onEnd?.() } : {}),
        onDrain: () => listener.onDrain(),
        onClose: () => {
          this.#forget(entry)
          listener.onClose()
        },
      }
    }
  }

  /** Ends the calls whose certificate does not count any more. */
  recheck(accepts: (identity: PeerIdentity) => boolean): void {
    for (const entry of this.#open)
      if (!accepts(entry.identity)) this.#end(entry, statusCode.unauthenticated, 'the client certificate was revoked')
  }

  /** Whether every caller's certificate was issued at this time or later, and with it all that came along. */
  allIssuedSince(timeMs: number): boolean {
    return [...this.#open].every(({ identity }) => identity.notBeforeMs + clockSkewMs >= timeMs)
  }

  #expire(entry: IdentifiedCall): void {
    const leftMs = entry.identity.notAfterMs - this.#clock.wallNow()
    if (leftMs <= 0) this.#end(entry, statusCode.unavailable, 'the client certificate has expired: connect again with a new one')
    else entry.timer = setWallTimeout(this.#clock, () => this.#expire(entry), leftMs)
  }

  #end(entry: IdentifiedCall, code: StatusCode, message: string): void {
    this.#forget(entry)
    entry.call.end(code, message)
  }

  #forget(entry: IdentifiedCall): void {
    entry.timer?.cancel()
    this.#open.delete(entry)
  }
}
