import type { ClientHttp2Stream } from 'node:http2'
import type { Clock } from '../runtime.ts'
import { XdsConnection } from './xds-connection.ts'
import type { AdsStream, AdsStreamHandler, AdsStreamStatus, AdsTransport } from './ads-transport.ts'
import type { XdsServer } from './bootstrap.ts'
import type { AdsRequest, XdsProtocol } from './discovery-message.ts'
import { frameMessage, MessageReader } from './grpc-message.ts'
import { statusOfConnection, statusOfError, statusOfHeaders, statusOfHttp, statusOfReset } from './grpc-status.ts'
import type { XdsNode } from './xds-node.ts'

type Codec = typeof import('./discovery-codec.ts')

const service = '/envoy.service.discovery.v3.AggregatedDiscoveryService'
const methods: Readonly<Record<XdsProtocol, string>> = {
  sotw: `${service}/StreamAggregatedResources`,
  delta: `${service}/DeltaAggregatedResources`,
}

/** The endpoints of hundreds of clusters do not fit in gRPC's 4 MiB. */
const maxMessageBytes = 128 * 1024 * 1024
/** `CANCEL` (RFC 9113, section 7). */
const cancelCode = 8
/** gRPC's UNKNOWN and INTERNAL. */
const unknown = 2
const internal = 13

/**
 * The {@link AdsTransport} over `node:http2`, which speaks as much gRPC as one stream of discovery needs. HTTP/2 and the generated types are
 * loaded when the first stream is opened, so that a process that starts from its cache pays for neither. One connection, made anew after a
 * stream that brought nothing.
 */
export class Http2AdsTransport implements AdsTransport {
  readonly #server: XdsServer
  readonly #clock: Clock
  #connection: XdsConnection | undefined
  #keepaliveTimeMs: number | undefined

  constructor(server: XdsServer, clock: Clock) {
    this.#server = server
    this.#clock = clock
  }

  open(protocol: XdsProtocol, handler: AdsStreamHandler): AdsStream {
    return new Http2AdsStream(
      protocol,
      handler,
      () => this.#connect(),
      () => this.close(),
    )
  }

  close(): void {
    this.#connection?.destroy()
    this.#connection = undefined
  }

  async #connect(): Promise<XdsConnection> {
    const http2 = await import('node:http2')
    if (this.#connection?.isUsable !== true) {
      if (this.#connection?.pingedTooOften === true) this.#keepaliveTimeMs = 2 * this.#connection.keepaliveTimeMs
      const { uri, credentials } = this.#server
      this.#connection = new XdsConnection(http2, {
        uri,
        credentials,
        clock: this.#clock,
        ...(this.#keepaliveTimeMs === undefined ? {} : { keepaliveTimeMs: this.#keepaliveTimeMs }),
      })
    }
    return this.#connection
  }
}

class Http2AdsStream implements AdsStream {
  readonly #handler: AdsStreamHandler
  readonly #protocol: XdsProtocol
  /** Gives up the connection. */
  readonly #discard: () => void
  /** What was to be sent before there was a call. */
  #waiting: { readonly request: AdsRequest; readonly node: XdsNode | undefined }[] = []
  #call: { readonly stream: ClientHttp2Stream; readonly codec: Codec } | undefined
  #isOver = false

  constructor(protocol: XdsProtocol, handler: AdsStreamHandler, connect: () => Promise<XdsConnection>, discard: () => void) {
    this.#protocol = protocol
    this.#handler = handler
    this.#discard = discard
    this.#run(connect).catch((error: unknown) => this.#end(statusOfError(error), false))
  }

  send(request: AdsRequest, node: XdsNode | undefined): void {
    if (this.#isOver) return
    if (this.#call) this.#write(this.#call.stream, this.#call.codec, request, node)
    else this.#waiting.push({ request, node })
  }

  cancel(): void {
    this.#isOver = true
    this.#waiting = []
    this.#call?.stream.close(cancelCode)
  }

  #write(stream: ClientHttp2Stream, codec: Codec, request: AdsRequest, node: XdsNode | undefined): void {
    if (stream.writable) stream.write(frameMessage(codec.encodeRequest(request, node)))
  }

  async #run(connect: () => Promise<XdsConnection>): Promise<void> {
    const codec = await import('./discovery-codec.ts')
    if (this.#isOver) return
    const connection = await connect()
    if (this.#isOver) return
    const stream = connection.request(methods[this.#protocol])
    this.#call = { stream, codec }
    // One that comes after the status has nobody to tell.
    stream.on('error', () => {})
    for (const { request, node } of this.#waiting) this.#write(stream, codec, request, node)
    this.#waiting = []
    connection.onReady(() => {
      if (!this.#isOver) this.#handler.onConnected()
    })
    await this.#read(connection, stream, codec)
  }

  async #read(connection: XdsConnection, stream: ClientHttp2Stream, codec: Codec): Promise<void> {
    let answered = false
    let status: AdsStreamStatus | undefined
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
        answered = true
        await this.#handler.onResponse(codec.decodeResponse(this.#protocol, message))
      }
    }
    try {
      for await (const chunk of stream) {
        connection.touch()
        // The body of an answer that is not gRPC's.
        if (status !== undefined) continue
        await take(chunk).catch((error: unknown) => this.#end(statusOfError(error), answered))
      }
      if (!reader.isBetweenMessages) status ??= { code: internal, message: 'the stream ended within a message' }
      this.#end(status ?? withoutStatus(connection, stream, null), answered)
    } catch (error) {
      this.#end(status ?? withoutStatus(connection, stream, error), answered)
    }
  }

  #end(status: AdsStreamStatus, answered: boolean): void {
    if (this.#isOver) return
    this.cancel()
    // A new connection looks the name up again.
    if (!answered) this.#discard()
    this.#handler.onEnd(status)
  }
}

function withoutStatus(connection: XdsConnection, stream: ClientHttp2Stream, error: unknown): AdsStreamStatus {
  if (connection.error !== null) return statusOfConnection(connection.error)
  if (error !== null && connection.isUsable === false) return statusOfConnection(error)
  if (stream.rstCode) return statusOfReset(stream.rstCode)
  return { code: unknown, message: 'the stream ended without a status' }
}
