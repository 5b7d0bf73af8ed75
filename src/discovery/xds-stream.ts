import type { ClientHttp2Stream } from 'node:http2'
import type { Runtime } from '../runtime.ts'
import { Identities } from '../security/identities.ts'
import { frameMessage, MessageReader } from './grpc-message.ts'
import {
  statusOfConnection,
  statusOfError,
  statusOfHeaders,
  statusOfHttp,
  statusOfReset,
  type XdsStreamStatus,
} from './grpc-status.ts'
import { JwtTokenFile } from './jwt-token-file.ts'
import { XdsConnection } from './xds-connection.ts'
import type { XdsServer } from './xds-server.ts'

/** Reads and writes the messages of a method. */
export interface StreamCodec<Request, Response> {
  encode(request: Request): Uint8Array
  /** @throws Error when the bytes cannot be parsed */
  decode(bytes: Uint8Array): Response
}

/** A method of a control plane that streams both ways. */
export interface StreamMethod<Request, Response> {
  /** `/package.Service/Method` */
  readonly path: string
  /** Called for each stream, before the connection is made. */
  readonly loadCodec: () => Promise<StreamCodec<Request, Response>>
  /** Whether a stream that ends without an answer takes the connection along: a new one looks the name up again. */
  readonly renewsConnection: boolean
}

/** What a stream tells. */
export interface XdsStreamHandler<Response> {
  /** The stream is on a connection that works, and what was sent is on its way. At most once. */
  onConnected(): void
  /** The next response is held back until the promise is settled. */
  onResponse(response: Response): Promise<void>
  /** The stream is over; a gRPC status. Once, and last. */
  onEnd(status: XdsStreamStatus): void
}

/** The endpoints of hundreds of clusters do not fit in gRPC's 4 MiB. */
const maxMessageBytes = 128 * 1024 * 1024
/** `CANCEL` (RFC 9113, section 7). */
const cancelCode = 8
/** gRPC's. */
const unknown = 2
const internal = 13
const unauthenticated = 16

/**
 * The streams to one control plane, over `node:http2`, which speaks as much gRPC as they need. HTTP/2 and the generated types are loaded when
 * the first is opened, so that a process that starts from its cache pays for neither. They share one connection.
 */
export class XdsTransport {
  readonly #server: XdsServer
  readonly #clock: Runtime['clock']
  readonly #identities: Identities
  readonly #tokens: readonly JwtTokenFile[]
  #connection: XdsConnection | undefined
  #keepaliveTimeMs: number | undefined
  /** Streams of configuration that the server has answered. */
  #answered = 0

  constructor(
    server: XdsServer,
    { clock, random }: Pick<Runtime, 'clock' | 'random'>,
    identities: Identities = new Identities(),
  ) {
    this.#server = server
    this.#identities = identities
    this.#clock = clock
    this.#tokens = server.callCredentials.map(({ path }) => new JwtTokenFile(path, clock, random))
  }

  /** The server's gRPC target. */
  get uri(): string {
    return this.#server.uri
  }

  /** Begins a stream. The handler is called later, never from here; a failure to open is told to it, too. */
  open<Request, Response>(method: StreamMethod<Request, Response>, handler: XdsStreamHandler<Response>): XdsStream<Request> {
    return new Http2Stream(method, handler, {
      authorize: () => this.#authorize(),
      connect: () => this.#connect(),
      discard: () => {
        // Another one gets on well with it.
        if (this.#answered === 0) this.close()
      },
      count: change => {
        this.#answered += change
      },
    })
  }

  /** The next stream gets a connection of its own. */
  renew(): void {
    this.#connection?.close()
    this.#connection = undefined
  }

  /** Ends the connection, and every stream on it. */
  close(): void {
    this.#connection?.destroy()
    this.#connection = undefined
  }

  async #authorize(): Promise<StreamAuthorization> {
    if (this.#tokens.length === 0) return { ok: true, metadata: {} }
    if (this.#server.credentials.kind === 'insecure')
      return { ok: false, status: { code: unauthenticated, message: 'call_creds: a token is not sent in plain text' } }
    const values: string[] = []
    for (const found of await Promise.all(this.#tokens.map(token => token.authorize()))) {
      if (!found.ok) return found
      values.push(found.authorization)
    }
    return { ok: true, metadata: { authorization: values.join(',') } }
  }

  async #connect(): Promise<XdsConnection> {
    const http2 = await import('node:http2')
    if (this.#connection?.isUsable !== true) {
      if (this.#connection?.pingedTooOften === true) this.#keepaliveTimeMs = 2 * this.#connection.keepaliveTimeMs
      const { uri, credentials } = this.#server
      this.#connection = new XdsConnection(http2, {
        uri,
        credentials,
        identities: this.#identities,
        clock: this.#clock,
        ...(this.#keepaliveTimeMs === undefined ? {} : { keepaliveTimeMs: this.#keepaliveTimeMs }),
      })
    }
    return this.#connection
  }
}

/** A stream as its user sees it. */
export interface XdsStream<Request> {
  /** Sends, once it can. */
  send(request: Request): void
  /** Ends the stream; the handler hears nothing more. */
  cancel(): void
  /** The same, once what was sent is with the server. Resolves when the server has ended its half, too, or cannot any more. */
  finish(): Promise<void>
}

/** What a stream says of who it is for; or why it cannot. */
type StreamAuthorization =
  | { readonly ok: true; readonly metadata: Readonly<Record<string, string>> }
  | { readonly ok: false; readonly status: XdsStreamStatus }

/** What a stream shares with the others of its server. */
interface SharedConnection {
  authorize(): Promise<StreamAuthorization>
  connect(): Promise<XdsConnection>
  /** Gives the connection up, unless it serves another stream. */
  discard(): void
  /** One more stream, or one less, is answered. */
  count(change: 1 | -1): void
}

class Http2Stream<Request, Response> implements XdsStream<Request> {
  readonly #method: StreamMethod<Request, Response>
  readonly #handler: XdsStreamHandler<Response>
  readonly #shared: SharedConnection
  /** What was to be sent before there was a call. */
  #waiting: Request[] = []
  #call: { readonly stream: ClientHttp2Stream; readonly codec: StreamCodec<Request, Response> } | undefined
  #isOver = false
  #isFinished = false
  #isAnswered = false

  constructor(method: StreamMethod<Request, Response>, handler: XdsStreamHandler<Response>, shared: SharedConnection) {
    this.#method = method
    this.#handler = handler
    this.#shared = shared
    this.#run().catch((error: unknown) => this.#end(statusOfError(error)))
  }

  send(request: Request): void {
    if (this.#isOver) return
    if (this.#call) this.#write(this.#call.stream, this.#call.codec, request)
    else this.#waiting.push(request)
  }

  cancel(): void {
    if (!this.#isOver && this.#isAnswered && this.#method.renewsConnection) this.#shared.count(-1)
    this.#isOver = true
    this.#waiting = []
    if (!this.#isFinished) this.#call?.stream.close(cancelCode)
  }

  async finish(): Promise<void> {
    if (this.#isOver) return
    const stream = this.#call?.stream
    this.#isFinished = stream !== undefined
    this.cancel()
    if (stream === undefined || stream.destroyed) return
    const closed = new Promise<void>(resolve => stream.once('close', resolve))
    // The server ends its half on that.
    stream.end()
    await closed
  }

  #write(stream: ClientHttp2Stream, codec: StreamCodec<Request, Response>, request: Request): void {
    if (stream.writable) stream.write(frameMessage(codec.encode(request)))
  }

  async #run(): Promise<void> {
    const codec = await this.#method.loadCodec()
    const authorization = await this.#shared.authorize()
    if (this.#isOver) return
    if (!authorization.ok) return this.#end(authorization.status)
    const connection = await this.#shared.connect()
    if (this.#isOver) return
    const stream = connection.request(this.#method.path, authorization.metadata)
    this.#call = { stream, codec }
    // One that comes after the status has nobody to tell.
    stream.on('error', () => {})
    for (const request of this.#waiting) this.#write(stream, codec, request)
    this.#waiting = []
    connection.onReady(() => {
      if (!this.#isOver) this.#handler.onConnected()
    })
    await this.#read(connection, stream, codec)
  }

  async #read(connection: XdsConnection, stream: ClientHttp2Stream, codec: StreamCodec<Request, Response>): Promise<void> {
    let status: XdsStreamStatus | undefined
    stream.once('response', headers => {
      status = statusOfHeaders(headers)
      if (status === undefined && headers[':status'] !== 200) status = statusOfHttp(Number(headers[':status']))
    })
    stream.once('trailers', trailers => {
      status ??= statusOfHeaders(trailers)
    })
    const reader = new MessageReader(maxMessageBytes)
    const take = async (chunk: Uint8Array) => {
      for (const message of reader.read(chunk)) {
        if (this.#isOver) return
        this.#onAnswer()
        await this.#handler.onResponse(codec.decode(message))
      }
    }
    try {
      for await (const chunk of stream) {
        connection.touch()
        // The body of an answer that is not gRPC's.
        if (status !== undefined) continue
        await take(chunk).catch((error: unknown) => this.#end(statusOfError(error)))
      }
      if (!reader.isBetweenMessages) status ??= { code: internal, message: 'the stream ended within a message' }
      this.#end(status ?? withoutStatus(connection, stream, null))
    } catch (error) {
      this.#end(status ?? withoutStatus(connection, stream, error))
    }
  }

  #onAnswer(): void {
    if (!this.#isAnswered && this.#method.renewsConnection) this.#shared.count(1)
    this.#isAnswered = true
  }

  #end(status: XdsStreamStatus): void {
    if (this.#isOver) return
    this.cancel()
    if (!this.#isAnswered && this.#method.renewsConnection) this.#shared.discard()
    this.#handler.onEnd(status)
  }
}

function withoutStatus(connection: XdsConnection, stream: ClientHttp2Stream, error: unknown): XdsStreamStatus {
  if (connection.error !== null) return statusOfConnection(connection.error)
  if (error !== null && connection.isUsable === false) return statusOfConnection(error)
  if (stream.rstCode) return statusOfReset(stream.rstCode)
  return { code: unknown, message: 'the stream ended without a status' }
}
