import type { EventEmitter } from 'node:events'
import type { Readable } from 'node:stream'
import type { HeaderChange } from '../policies/ext-authz/header-change.ts'

/** A request as its protocol has it, for filters that look at more than its headers. */
export interface RequestStream {
  /** `HTTP/1.0`, `HTTP/1.1`, `HTTP/2`. */
  readonly protocol: string
  /** Its body; `null`: there is none. */
  readonly body: Readable | null
  /** Emits `close` when the caller is gone. */
  readonly caller: EventEmitter
  /** Lets a caller send its body that waits for leave to (`Expect: 100-continue`). */
  sendContinue(): void
  /** Changes the headers of the answer, whoever gives it, when they are about to be sent. */
  changeAnswer(changes: readonly HeaderChange[]): void
}
