import { constants as http2, type ServerHttp2Stream } from 'node:http2'
import { type StatusCode, statusCode } from './status-code.ts'

/** Who is at the other end of a connection, as its certificate says. Only ever made from a certificate that was checked. */
export interface PeerIdentity {
  readonly spiffeId: string
  /** Of the certificate, lower-case hexadecimal. */
  readonly serial: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** One streaming or unary call as its handler sees it. */
export interface GrpcCall {
  /** `address:port` of the client. */
  readonly peer: string
  /** Absent in plaintext and without a valid client certificate. */
  readonly peerIdentity?: PeerIdentity | undefined
  /** The header of that name. Absent when the client sent none. */
  readonly authorization?: string | undefined
  /** Whether the client reads slower than it is written to. */
  readonly congested: boolean
  /** Writes one message that already has its gRPC header. */
  write(frame: Uint8Array): void
  /** Ends the call with a status. Later calls do nothing. */
  end(code: StatusCode, message: string): void
}

/** What a handler wants to hear of its call. */
export interface GrpcCallListener {
  onMessage(message: Uint8Array): void
  /** The client sends no more. Without it the call then ends with OK. */
  onEnd?(): void
  /** A congested client can take more. */
  onDrain(): void
  /** The call is over, for whatever reason. Called once. */
  onClose(): void
}

/** Takes a new call. */
export type GrpcHandler = (call: GrpcCall) => GrpcCallListener

const headerLength = 5

/** What a {@link Http2Call} knows of its client. */
export type CallCredentials = Pick<GrpcCall, 'peerIdentity' | 'authorization'>

/** A {@link GrpcCall} over one HTTP/2 stream. */
export class Http2Call implements GrpcCall {
  readonly peer: string
  readonly peerIdentity: PeerIdentity | undefined
  readonly authorization: string | undefined
  readonly #stream: ServerHttp2Stream
  readonly #maxRequestBytes: number
  #listener: GrpcCallListener | undefined
  #rest: Buffer | undefined
  #over = false

  constructor(stream: ServerHttp2Stream, maxRequestBytes: number, credentials: CallCredentials = {}) {
    this.#stream = stream
    this.peerIdentity = credentials.peerIdentity
    this.authorization = credentials.authorization
    this.#maxRequestBytes = maxRequestBytes
    const { remoteAddress = '', remotePort = 0 } = stream.session?.socket ?? {}
    this.peer = `${remoteAddress}:${remotePort}`
    stream.on('error', () => {})
  }

  get congested(): boolean {
    return this.#stream.writableNeedDrain
  }

  open(handler: GrpcHandler): void {
    const stream = this.#stream
    stream.on('close', () => {
      this.#over = true
      this.#listener?.onClose()
    })
    const listener = handler(this)
    if (this.#over) return
    this.#listener = listener
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.on('data', (chunk: Buffer) => this.#receive(chunk))
    stream.on('drain', () => listener.onDrain())
    stream.on('end', () => (listener.onEnd ? listener.onEnd() : this.end(statusCode.ok, '')))
  }

  write(frame: Uint8Array): void {
    if (!this.#over && this.#stream.writable) this.#stream.write(frame)
  }

  end(code: StatusCode, message: string): void {
    const stream = this.#stream
    if (this.#over || stream.destroyed) return
    this.#over = true
    const trailers = { 'grpc-status': String(code), 'grpc-message': percentEncode(message) }
    if (stream.headersSent) {
      stream.once('wantTrailers', () => {
        stream.sendTrailers(trailers)
        this.#hangUp()
      })
      stream.end()
    } else {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...trailers }, { endStream: true })
      this.#hangUp()
    }
  }

  /** The client may still hold its half open. A reset in the same tick would overtake the status. */
  #hangUp(): void {
    const stream = this.#stream
    if (stream.readableEnded) return
    stream.resume()
    setImmediate(() => stream.close(http2.NGHTTP2_NO_ERROR))
  }

  #receive(chunk: Buffer): void {
    let bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk
    while (!this.#over && bytes.length >= headerLength) {
      if (bytes[0] !== 0) {
        this.end(statusCode.unimplemented, 'compressed messages are not supported')
        return
      }
      const length = bytes.readUInt32BE(1)
      if (length > this.#maxRequestBytes) {
        this.end(statusCode.resourceExhausted, `message of ${length} bytes exceeds ${this.#maxRequestBytes}`)
        return
      }
      if (bytes.length < headerLength + length) break
      this.#listener?.onMessage(bytes.subarray(headerLength, headerLength + length))
      bytes = bytes.subarray(headerLength + length)
    }
    this.#rest = bytes.length > 0 ? bytes : undefined
  }
}

/** `grpc-message` as the gRPC HTTP/2 specification encodes it. */
function percentEncode(message: string): string {
  return message.replace(/[^\x20-\x24\x26-\x7e]/gu, character => encodeURIComponent(character.isWellFormed() ? character : '?'))
}
