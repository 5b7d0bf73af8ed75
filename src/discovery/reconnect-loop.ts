import pRetry from 'p-retry'
import type { Runtime } from '../runtime.ts'
import { reconnectDelayMs } from './reconnect-backoff.ts'

/**
 * How a conversation with a server ended that was one: by itself, on purpose with another to follow at once, or with none to follow. One that
 * failed before the server said anything is a rejection.
 */
export type ConversationEnd = 'ended' | 'reopen' | 'stop'

/** Options of {@link ReconnectLoop}. */
export interface ReconnectLoopOptions {
  readonly runtime: Runtime
  /** What it does, for logs: `xds: the client`. */
  readonly name: string
  /** One stream from beginning to end. */
  readonly converse: () => Promise<ConversationEnd>
  /** Called after the n-th failure in a row; the next try follows. Default: waits with backoff. */
  readonly afterFailure?: (failures: number) => Promise<void>
}

/** Opens a stream again and again, with backoff that starts over once a server has answered. */
export class ReconnectLoop {
  readonly #options: ReconnectLoopOptions
  readonly #closing = new AbortController()
  #isRunning = false
  /** It was started once more since the last conversation began. */
  #isAskedAgain = false
  #wake: (() => void) | undefined

  constructor(options: ReconnectLoopOptions) {
    this.#options = options
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted
  }

  /** Begins, unless it has; after `stop`, begins anew. */
  start(): void {
    this.#isAskedAgain = true
    if (this.#isRunning || this.isClosed) return
    this.#isRunning = true
    const { runtime, name } = this.#options
    this.#run()
      .catch((error: unknown) => {
        if (!this.isClosed) runtime.logger.error(`${name} stopped`, { error: String(error) })
      })
      .finally(() => {
        this.#isRunning = false
      })
  }

  /** Waits, unless somebody wakes it. */
  pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = this.#options.runtime.clock.setTimeout(() => this.#wake?.(), ms)
      this.#wake = () => {
        this.#wake = undefined
        timer.cancel()
        resolve()
      }
    })
  }

  /** Ends a pause. */
  wake(): void {
    this.#wake?.()
  }

  /** No stream is opened any more. */
  close(): void {
    this.#closing.abort(new Error('closed'))
    this.wake()
  }

  async #run(): Promise<void> {
    const { runtime, converse } = this.#options
    const backOff = (failures: number) => this.pause(reconnectDelayMs(failures, runtime.random))
    const afterFailure = this.#options.afterFailure ?? backOff
    while (!this.isClosed) {
      const begun = runtime.clock.now()
      this.#isAskedAgain = false
      const end = await pRetry(async () => converse().catch(retried), {
        retries: Number.POSITIVE_INFINITY,
        minTimeout: 0,
        unref: true,
        signal: this.#closing.signal,
        onFailedAttempt: ({ attemptNumber }) => afterFailure(attemptNumber),
      })
      if (end === 'stop' && !this.#isAskedAgain) return
      // A server that answers and dies at once would otherwise be called without a pause.
      const restMs = begun + reconnectDelayMs(1, runtime.random) - runtime.clock.now()
      if (end === 'ended' && restMs > 0) await this.pause(restMs)
    }
  }
}

/** p-retry takes most errors of type for mistakes that no other try can mend, and Node throws them for what a peer or a file has given. */
function retried(error: unknown): never {
  throw error instanceof TypeError ? new Error(error.message, { cause: error }) : error
}
