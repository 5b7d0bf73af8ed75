import { once } from 'node:events'
import {
  createServer,
  type Http2Server,
  constants as http2,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { isIP } from 'node:net'
import type { Clock, Logger, Timer } from '../runtime.ts'
import { type StatusCode, statusCode } from './status-code.ts'

/** One bidirectional streaming call as its handler sees it. */
export interface GrpcCall {
  /** `address:port` of the client. */
  readonly peer: string
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
  /** A congested client can take more. */
  onDrain(): void
  /** The call is over, for whatever reason. Called once. */
  onClose(): void
}

/** Takes a new call. */
export type GrpcHandler = (call: GrpcCall) => GrpcCallListener

/** Options of {@link GrpcServer}. */
export interface GrpcServerOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** By `/package.Service/Method`. */
  readonly handlers: ReadonlyMap<string, GrpcHandler>
  /** Largest request message. Default 4 MiB, as gRPC. */
  readonly maxRequestBytes?: number
  /** Concurrent streams of one connection. Default 100. */
  readonly maxStreamsPerConnection?: number
  /** Connections at once. Default 10,000. */
  readonly maxConnections?: number
  /** Pause between keepalive pings. Default 30,000 ms; a client silent for as long again is cut off. 0 turns them off. */
  readonly keepaliveIntervalMs?: number
  /** Allows plaintext on an address that others reach. Default false. */
  readonly insecureBind?: boolean
}

const headerLength = 5

/**
 * The server half of gRPC over HTTP/2 in plaintext, for bidirectional streams of uncompressed messages: what a control plane needs of
 * gRPC, at about two thirds of the CPU of the full library.
 */
export class GrpcServer {
  readonly #server: Http2Server
  readonly #options: GrpcServerOptions
  readonly #sessions = new Map<ServerHttp2Session, boolean>()
  readonly #calls = new Set<Http2Call>()
  #keepalive: Timer | undefined
  #draining = false

  constructor(options: GrpcServerOptions) {
    this.#options = options
    this.#server = createServer({
      // A response may be many megabytes long; Node's default of 10 MB would refuse further streams meanwhile.
      maxSessionMemory: 128,
      settings: { maxConcurrentStreams: options.maxStreamsPerConnection ?? 100, initialWindowSize: 1024 * 1024 },
    })
    this.#server.maxConnections = options.maxConnections ?? 10_000
    this.#server.on('session', session => this.#accept(session))
    this.#server.on('stream', (stream, headers) => this.#begin(stream, headers))
    this.#server.on('sessionError', error => options.logger.debug('xds connection failed', { error: error.message }))
  }

  /**
   * Binds and listens.
   *
   * @returns the bound address as `host:port`
   * @throws when `host` is not loopback and {@link GrpcServerOptions.insecureBind} is off
   */
  async listen(host: string, port: number): Promise<string> {
    if (!isLoopback(host) && !this.#options.insecureBind) {
      throw new Error(`xDS in plaintext is served on loopback only, not on ${host}; --insecure-bind allows it`)
    }
    this.#server.listen(port, host)
    await once(this.#server, 'listening')
    this.#scheduleKeepalive()
    const { address, family, port: bound } = this.#server.address() as AddressInfo
    return family === 'IPv6' ? `[${address}]:${bound}` : `${address}:${bound}`
  }

  /** Ends every call with UNAVAILABLE, so that clients reconnect elsewhere, says GOAWAY and waits until all connections are closed. */
  async close(): Promise<void> {
    this.#draining = true
    this.#keepalive?.cancel()
    const closed = this.#server.listening ? once(this.#server, 'close') : undefined
    if (closed) this.#server.close()
    for (const call of this.#calls) call.end(statusCode.unavailable, 'the control plane is shutting down')
    for (const session of this.#sessions.keys()) session.close()
    // A client that does not hang up must not keep the process up.
    const cutOff = this.#options.clock.setTimeout(() => {
      for (const session of this.#sessions.keys()) session.destroy()
    }, 2000)
    await closed
    cutOff.cancel()
  }

  #accept(session: ServerHttp2Session): void {
    this.#sessions.set(session, true)
    session.on('error', error => this.#options.logger.debug('xds connection failed', { error: error.message }))
    session.on('close', () => this.#sessions.delete(session))
  }

  #scheduleKeepalive(): void {
    const intervalMs = this.#options.keepaliveIntervalMs ?? 30_000
    if (intervalMs === 0) return
    this.#keepalive = this.#options.clock.setTimeout(() => {
      for (const [session, answered] of this.#sessions) {
        if (!answered) session.destroy()
        else if (!session.destroyed) {
          this.#sessions.set(session, false)
          session.ping(error => {
            if (!error && this.#sessions.has(session)) this.#sessions.set(session, true)
          })
        }
      }
      this.#scheduleKeepalive()
    }, intervalMs)
  }

  #begin(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const call = new Http2Call(stream, this.#options.maxRequestBytes ?? 4 * 1024 * 1024)
    const handler = this.#options.handlers.get(headers[':path'] ?? '')
    if (headers[':method'] !== 'POST' || !headers['content-type']?.startsWith('application/grpc')) {
      stream.respond({ ':status': 415 }, { endStream: true })
    } else if (!handler) call.end(statusCode.unimplemented, `no method ${headers[':path']}`)
    else if (this.#draining) call.end(statusCode.unavailable, 'the control plane is shutting down')
    else {
      this.#calls.add(call)
      stream.on('close', () => this.#calls.delete(call))
      call.open(handler)
    }
  }
}

class Http2Call implements GrpcCall {
  readonly peer: string
  readonly #stream: ServerHttp2Stream
  readonly #maxRequestBytes: number
  #listener: GrpcCallListener | undefined
  #rest: Buffer | undefined
  #over = false

  constructor(stream: ServerHttp2Stream, maxRequestBytes: number) {
    this.#stream = stream
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
    stream.on('end', () => this.end(statusCode.ok, ''))
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

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}
