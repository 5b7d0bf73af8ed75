import { once } from 'node:events'
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { isIP } from 'node:net'
import { createSecureContext, TLSSocket } from 'node:tls'
import type { Clock, Logger, Timer } from '../runtime.ts'
import { type GrpcHandler, Http2Call, type PeerIdentity } from './grpc-call.ts'
import type { ServerTls } from './server-tls.ts'
import { statusCode } from './status-code.ts'

/** Options of {@link GrpcServer}. */
export interface GrpcServerOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** By `/package.Service/Method`. */
  readonly handlers: ReadonlyMap<string, GrpcHandler>
  /** Largest request message. Default 4 MiB, as gRPC. */
  readonly maxRequestBytes?: number
  /**
   * Concurrent streams of one connection. A client waits for a free one without a word, so this is no quota: gRPC's C core has an ADS
   * and an LRS stream for every `xds:///` target. Default 10,000.
   */
  readonly maxStreamsPerConnection?: number
  /** Connections at once. Default 10,000. */
  readonly maxConnections?: number
  /** Pause between keepalive pings. Default 30,000 ms; a client silent for as long again is cut off. 0 turns them off. */
  readonly keepaliveIntervalMs?: number
  /** Without it the server speaks plaintext. */
  readonly tls?: ServerTls
  /** Allows plaintext on an address that others reach. Default false. */
  readonly insecurePlaintext?: boolean
}

interface Client {
  /** Known one turn after its session. */
  socket: Socket | null
  isAlive: boolean
  /** Calls without an identity that are open. */
  strangers: number
}

/** Of a caller who has yet to prove who it is: more than it takes to do so. */
const stranger = { maxRequestBytes: 64 * 1024, maxCalls: 100 }

/** Longest TLS handshake; Node's default is 120 s. */
const handshakeTimeoutMs = 10_000

/**
 * The server half of gRPC over HTTP/2, for streaming and unary calls of uncompressed messages: what a control plane needs of gRPC, at
 * about two thirds of the CPU of the full library.
 */
export class GrpcServer {
  readonly #server: Http2Server | Http2SecureServer
  readonly #options: GrpcServerOptions
  readonly #sessions = new Map<ServerHttp2Session, Client>()
  readonly #sockets = new Set<Socket>()
  readonly #identities = new WeakMap<Http2Session, PeerIdentity>()
  readonly #calls = new Set<Http2Call>()
  #keepalive: Timer | undefined
  #draining = false

  constructor(options: GrpcServerOptions) {
    this.#options = options
    const http2Options = {
      // A response may be many megabytes long; Node's default of 10 MB would refuse further streams meanwhile.
      maxSessionMemory: 128,
      settings: { maxConcurrentStreams: options.maxStreamsPerConnection ?? 10_000, initialWindowSize: 1024 * 1024 },
    }
    const { tls } = options
    this.#server = tls ? this.#createSecure(tls, http2Options) : createServer(http2Options)
    this.#server.maxConnections = options.maxConnections ?? 10_000
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    this.#server.on('session', (session: ServerHttp2Session) => this.#accept(session))
    this.#server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, raw: readonly string[]) =>
      this.#begin(stream, headers, raw),
    )
    this.#server.on('sessionError', (error: Error) => this.#connectionFailed(error))
  }

  #createSecure(tls: ServerTls, http2Options: object): Http2SecureServer {
    const server = createSecureServer({
      ...http2Options,
      ...tls.context,
      requestCert: true,
      // Callers without a certificate may ask for one; what needs one is for the handlers to say.
      rejectUnauthorized: false,
      handshakeTimeout: handshakeTimeoutMs,
    })
    server.on('tlsClientError', error => this.#connectionFailed(error))
    const unsubscribe = tls.onChange(() => {
      try {
        // Made once to see that it can be: setSecureContext has already forgotten the old one when it throws.
        createSecureContext(tls.context)
        server.setSecureContext(tls.context)
      } catch (error) {
        this.#options.logger.error('the new server certificate cannot be used, the old one stays', { error: String(error) })
      }
    })
    server.on('close', unsubscribe)
    return server
  }

  /**
   * Binds and listens.
   *
   * @returns the bound address as `host:port`
   * @throws in plaintext when `host` is not loopback and {@link GrpcServerOptions.insecurePlaintext} is off
   */
  async listen(host: string, port: number): Promise<string> {
    if (!this.#options.tls && !isLoopback(host) && !this.#options.insecurePlaintext) {
      throw new Error(`xDS in plaintext is served on loopback only, not on ${host}; --insecure-plaintext allows it`)
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
    // A client that does not hang up must not keep the process up. A session that was closed would wait for it also when it is destroyed.
    const cutOff = this.#options.clock.setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy()
    }, 2000)
    await closed
    cutOff.cancel()
  }

  #accept(session: ServerHttp2Session): void {
    const client: Client = { socket: null, isAlive: true, strangers: 0 }
    this.#sessions.set(session, client)
    session.once('connect', (_session, socket) => {
      client.socket = socket
    })
    session.on('error', error => this.#connectionFailed(error))
    session.on('close', () => this.#sessions.delete(session))
    const { socket } = session
    const { tls } = this.#options
    if (!tls || !(socket instanceof TLSSocket) || !socket.authorized) return
    const certificate = socket.getPeerX509Certificate()
    const identity = certificate && tls.identify(certificate, `${socket.remoteAddress}:${socket.remotePort}`)
    if (identity) this.#identities.set(session, identity)
  }

  /** The identity of a connection, as long as it holds. */
  #identityOf(session: Http2Session | undefined): PeerIdentity | undefined {
    const identity = session && this.#identities.get(session)
    return identity && this.#options.tls?.accepts(identity) ? identity : undefined
  }

  #connectionFailed(error: Error): void {
    this.#options.logger.debug('xds connection failed', { error: error.message })
  }

  #scheduleKeepalive(): void {
    const intervalMs = this.#options.keepaliveIntervalMs ?? 30_000
    if (intervalMs === 0) return
    this.#keepalive = this.#options.clock.setTimeout(() => {
      for (const [session, client] of this.#sessions) {
        // A session that its client has ended is over when the client hangs up, and not before.
        if (!client.isAlive || session.destroyed) client.socket?.destroy()
        else {
          client.isAlive = false
          session.ping(error => {
            client.isAlive = error === null
          })
        }
      }
      this.#scheduleKeepalive()
    }, intervalMs)
  }

  #begin(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: readonly string[]): void {
    const credentials = { peerIdentity: this.#identityOf(stream.session), authorization: headers.authorization }
    const isStranger = this.#options.tls !== undefined && credentials.peerIdentity === undefined
    const { maxRequestBytes = 4 * 1024 * 1024 } = this.#options
    const maxBytes = isStranger ? Math.min(maxRequestBytes, stranger.maxRequestBytes) : maxRequestBytes
    const call = new Http2Call(stream, maxBytes, credentials)
    const handler = this.#options.handlers.get(headers[':path'] ?? '')
    if (headers[':method'] !== 'POST' || !headers['content-type']?.startsWith('application/grpc')) {
      stream.respond({ ':status': 415 }, { endStream: true })
    } else if (!handler) call.end(statusCode.unimplemented, `no method ${headers[':path']}`)
    else if (raw.filter((name, index) => index % 2 === 0 && name === 'authorization').length > 1)
      call.end(statusCode.unauthenticated, 'more than one authorization header')
    else if (isStranger && !this.#mayCall(stream))
      call.end(statusCode.resourceExhausted, 'too many calls without a client certificate')
    else if (this.#draining) call.end(statusCode.unavailable, 'the control plane is shutting down')
    else {
      this.#calls.add(call)
      stream.on('close', () => this.#calls.delete(call))
      call.open(handler)
    }
  }

  /** Whether a stranger's connection may have one more call. */
  #mayCall(stream: ServerHttp2Stream): boolean {
    const client = this.#sessions.get(stream.session as ServerHttp2Session)
    if (client === undefined || client.strangers >= stranger.maxCalls) return false
    client.strangers++
    stream.once('close', () => client.strangers--)
    return true
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}
