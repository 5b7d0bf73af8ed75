import type { ClientHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import { version } from '../version.ts'
import { frameMessage, MessageReader } from './grpc-message.ts'
import { statusOfConnection, statusOfHeaders, statusOfHttp, statusOfReset, type XdsStreamStatus } from './grpc-status.ts'

/** A call that ended without an answer. */
export class GrpcStatusError extends Error {
  override readonly name = 'GrpcStatusError'
  readonly code: number

  constructor({ code, message }: XdsStreamStatus) {
    super(message === '' ? `gRPC status ${code}` : `${message} (gRPC status ${code})`)
    this.code = code
  }
}

/** One call with one request. */
export interface GrpcCall {
  /** `/package.Service/Method` */
  readonly path: string
  readonly message: Uint8Array
  /** Names in lower case. */
  readonly metadata?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** A connection for calls. */
export interface GrpcConnection {
  readonly session: ClientHttp2Session
  /** Ends it at once, and what is called on it. */
  end(): void
}

/**
 * Speaks HTTP/2 on a socket.
 *
 * @param origin of the calls: `http://…`, `https://…`
 */
export function connectOver(socket: Socket, origin: string): GrpcConnection {
  const { connect } = process.getBuiltinModule('node:http2')
  const session = connect(origin, { createConnection: () => socket })
  session.on('error', () => {})
  const end = () => {
    session.destroy()
    // A session whose server has said GOAWAY waits for it to hang up, also when it is destroyed.
    socket.destroy()
  }
  return { session, end }
}

const maxAnswerBytes = 4 * 1024 * 1024

/**
 * Calls a unary method on a connection.
 *
 * @throws GrpcStatusError for every status but OK
 */
export async function callUnary(session: ClientHttp2Session, call: GrpcCall): Promise<Uint8Array> {
  let answer: Uint8Array | undefined
  await callStreaming(session, call, message => {
    answer ??= message
  })
  if (answer === undefined) throw new GrpcStatusError({ code: 13, message: 'an answer without a message' })
  return answer
}

/**
 * Calls a method that answers with a stream. Resolves when the server ends it.
 *
 * @throws GrpcStatusError for every status but OK
 */
export function callStreaming(
  session: ClientHttp2Session,
  { path, message, metadata, signal }: GrpcCall,
  onMessage: (message: Uint8Array) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request(
      {
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        'grpc-accept-encoding': 'identity',
        'user-agent': `inmesh/${version}`,
        ...metadata,
      },
      signal === undefined ? {} : { signal },
    )
    const reader = new MessageReader(maxAnswerBytes)
    let status: XdsStreamStatus | undefined
    let failure: unknown
    stream.on('response', headers => {
      const code = headers[':status'] ?? 0
      status = statusOfHeaders(headers) ?? (code === 200 ? undefined : statusOfHttp(code))
    })
    stream.on('trailers', headers => {
      status ??= statusOfHeaders(headers)
    })
    stream.on('data', (chunk: Buffer) => {
      try {
        for (const each of reader.read(chunk)) onMessage(each)
      } catch (error) {
        stream.destroy(error instanceof Error ? error : new Error(String(error)))
      }
    })
    stream.on('error', error => {
      failure = error
    })
    stream.on('close', () => {
      const ended = status ?? (failure === undefined ? statusOfReset(stream.rstCode) : statusOfConnection(failure))
      if (ended.code === 0) resolve()
      else reject(new GrpcStatusError(ended))
    })
    stream.end(frameMessage(message))
  })
}
