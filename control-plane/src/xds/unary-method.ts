import type { Clock } from '../runtime.ts'
import type { GrpcCall, GrpcHandler } from './grpc-call.ts'
import { messageFrame } from './message-frame.ts'
import { type StatusCode, statusCode } from './status-code.ts'

/** Ends a call with a status; the message is for the caller. */
export class GrpcStatusError extends Error {
  readonly code: StatusCode

  constructor(code: StatusCode, message: string) {
    super(message)
    this.code = code
  }
}

/** What a {@link unaryMethod} is made with. */
export interface UnaryMethodOptions {
  readonly clock: Clock
  /** Is told of what is thrown beside {@link GrpcStatusError}. */
  failed(error: unknown): void
  /** Longest wait for the request. Default 30,000 ms. */
  readonly requestTimeoutMs?: number
}

/**
 * One request, one response. What else than {@link GrpcStatusError} is thrown becomes INTERNAL without a word of what it was. A caller
 * that opens a call and asks nothing is not waited for.
 */
export function unaryMethod(
  method: (request: Uint8Array, call: GrpcCall) => Promise<Uint8Array>,
  { clock, failed, requestTimeoutMs = 30_000 }: UnaryMethodOptions,
): GrpcHandler {
  return call => {
    let asked = false
    const late = () => call.end(statusCode.deadlineExceeded, `no request within ${requestTimeoutMs} ms`)
    const timer = clock.setTimeout(late, requestTimeoutMs)
    const answer = async (request: Uint8Array) => {
      try {
        call.write(messageFrame(await method(request, call)))
        call.end(statusCode.ok, '')
      } catch (error) {
        if (!(error instanceof GrpcStatusError)) failed(error)
        const { code, message } =
          error instanceof GrpcStatusError ? error : { code: statusCode.internal, message: 'internal error' }
        call.end(code, message)
      }
    }
    return {
      onMessage(request) {
        if (asked) return call.end(statusCode.unimplemented, 'more than one request in a unary call')
        asked = true
        timer.cancel()
        // A view of the receive buffer, which does not outlive this turn.
        answer(Uint8Array.from(request))
      },
      onEnd() {
        if (!asked) call.end(statusCode.invalidArgument, 'no request in a unary call')
      },
      onDrain() {},
      onClose: () => timer.cancel(),
    }
  }
}
