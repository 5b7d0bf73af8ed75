import type { ChannelInterface } from '@grpc/grpc-js'
import { grpcJs } from './grpc-js.ts'

/** A call that waits for the connection of the channel that it is on. */
export interface ConnectionWaiter {
  /** There is one. */
  onConnected(attempt: number): void
  /** There is none, and it has taken too long. */
  onUnconnected(attempt: number): void
}

/** gRPC's other clients begin anew when a connection is not there after that long. */
const maxConnectMs = 20_000

/**
 * The calls that wait for the connection of one channel. Once it has taken too long it is stuck, and no call waits for it any more until it is
 * there: as in gRPC's other clients, which send calls to endpoints that are connected.
 */
export class ConnectionWait {
  readonly #channel: ChannelInterface
  readonly #begunAt: number
  readonly #onEnd: () => void
  #waiters: { readonly waiter: ConnectionWaiter; readonly attempt: number }[] = []
  #isStuck: boolean

  /**
   * @param begunAt on the monotonic clock
   * @param onEnd called when the channel is connected, has failed by itself, or is closed
   */
  constructor(channel: ChannelInterface, begunAt: number, isStuck: boolean, onEnd: () => void) {
    this.#channel = channel
    this.#begunAt = begunAt
    this.#isStuck = isStuck
    this.#onEnd = onEnd
    this.#follow()
  }

  get isStuck(): boolean {
    return this.#isStuck
  }

  /** Whether the connection will hardly come, and another may be begun in its place. */
  isHopeless(now: number): boolean {
    return this.#isStuck && now - this.#begunAt >= maxConnectMs
  }

  add(waiter: ConnectionWaiter, attempt: number): void {
    this.#waiters.push({ waiter, attempt })
  }

  /** Lets the calls that wait go elsewhere. */
  giveUp(): void {
    this.#isStuck = true
    for (const { waiter, attempt } of this.#take()) waiter.onUnconnected(attempt)
  }

  #take() {
    const waiters = this.#waiters
    this.#waiters = []
    return waiters
  }

  #follow(): void {
    const { connectivityState } = grpcJs()
    const state = this.#channel.getConnectivityState(this.#isStuck)
    // Of a channel that failed grpc-js has told the calls; one that is stuck goes on trying.
    const hasFailed = state === connectivityState.TRANSIENT_FAILURE && !this.#isStuck
    if (state !== connectivityState.READY && state !== connectivityState.SHUTDOWN && !hasFailed) {
      this.#channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => this.#follow())
      return
    }
    this.#onEnd()
    if (state === connectivityState.READY) for (const { waiter, attempt } of this.#take()) waiter.onConnected(attempt)
  }
}
