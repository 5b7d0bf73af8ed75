import type { ServerHttp2Session } from 'node:http2'
import type { Server as NetServer, Socket } from 'node:net'
import { TLSSocket, Server as TlsServer } from 'node:tls'
import { isDeepStrictEqual } from 'node:util'
import type { Clock, Logger } from '../runtime.ts'
import type { CompiledChain } from './compiled-listener.ts'
import type { DownstreamSecurity } from './downstream-security.ts'
import type { ConnectionFacts } from './filter-chain-match.ts'
import { detectTransport } from './first-byte.ts'
import { connectionOf, InboundConnection, setConnection } from './inbound-connection.ts'
import type { ListenerWatch } from './listener-watch.ts'
import { rawSocketOf } from './raw-socket.ts'
import type { VerifiedPeer } from './verified-peer.ts'

/** What {@link ConnectionGate} needs. */
export interface GateEnvironment {
  readonly security: DownstreamSecurity
  readonly clock: Clock
  readonly logger: Logger
  /** Connections that wait for configuration, for their first byte or for the end of their handshake. Default: {@link defaultMaxWaiting}. */
  readonly maxWaiting?: number
}

/** Beyond it a new connection is closed. */
export const defaultMaxWaiting = 1024

type Emit = (event: string | symbol, ...args: unknown[]) => boolean

/** How often it is looked whether the certificates of peers are still good. */
const sweepMs = 10_000

/**
 * Stands before a server: a connection reaches it only by a filter chain of the listener, and after the handshake that the chain asks for.
 * What the server gets is a connection as it knows it: plain where it has TLS of its own and the chain has none, else as if it were its own.
 */
export class ConnectionGate {
  readonly #server: NetServer
  readonly #emit: Emit
  readonly #watch: ListenerWatch
  readonly #environment: GateEnvironment
  readonly #isHttp1: boolean
  readonly #waiting = new Set<Socket>()
  readonly #held = new Set<Socket>()
  readonly #live = new Set<InboundConnection>()
  readonly #unsubscribe: () => void
  /** What the server is being given at this moment. */
  #delivered: Socket | null = null
  #sweep: { cancel(): void } | null = null

  /**
   * @param emit of the server, under whatever stands in its place
   * @param isHttp1 what it speaks to those who come without ALPN
   */
  constructor(server: NetServer, emit: Emit, watch: ListenerWatch, environment: GateEnvironment) {
    this.#server = server
    this.#emit = emit
    this.#watch = watch
    this.#environment = environment
    this.#isHttp1 = 'maxHeadersCount' in server
    this.#unsubscribe = environment.security.subscribe(() => this.#check())
  }

  /** No connection that waits gets in any more. */
  close(): void {
    this.#unsubscribe()
    this.#sweep?.cancel()
    for (const socket of this.#waiting) socket.destroy()
  }

  /** Whether an event of the server is not for it, at least not now. */
  intercepts(event: string | symbol, args: readonly unknown[]): boolean {
    const [subject] = args
    switch (event) {
      case 'connection':
        if (!isSocket(subject) || subject === this.#delivered) return false
        this.#accept(subject)
        return true
      case 'secureConnection':
        if (subject instanceof TLSSocket) this.#noteOwnTls(subject)
        return false
      case 'session':
        this.#noteSession(subject as ServerHttp2Session)
        return false
      default:
        return false
    }
  }

  /** The listener has changed: every connection is looked at again. */
  update(): void {
    const held = [...this.#held]
    if (this.#watch.serving.kind !== 'pending') {
      this.#held.clear()
      for (const socket of held) this.#accept(socket)
    }
    for (const connection of this.#live) this.#revise(connection)
  }

  #accept(socket: Socket): void {
    const { serving } = this.#watch
    this.#wait(socket)
    if (socket.destroyed) return
    switch (serving.kind) {
      case 'pending':
        this.#held.add(socket)
        break
      case 'refused':
        socket.destroy()
        break
      case 'open':
        this.#deliver(socket, factsOf(socket, 'raw_buffer'), null, null)
        break
      case 'ready':
        if (serving.listener.asksForTransport)
          detectTransport(socket, this.#environment.clock, transport => this.#enter(socket, factsOf(socket, transport)))
        else this.#enter(socket, factsOf(socket, 'raw_buffer'))
    }
  }

  #wait(socket: Socket): void {
    if (this.#waiting.has(socket)) return
    // Until it is the server's, nobody else listens.
    socket.on('error', ignore)
    socket.once('close', () => {
      this.#waiting.delete(socket)
      this.#held.delete(socket)
    })
    if (this.#waiting.size >= (this.#environment.maxWaiting ?? defaultMaxWaiting)) socket.destroy()
    else this.#waiting.add(socket)
  }

  #enter(socket: Socket, facts: ConnectionFacts): void {
    const chain = this.#chainFor(facts)
    if (chain === undefined) {
      this.#refuse(socket, facts, 'no filter chain is for it')
      return
    }
    const { tls } = chain
    if (tls === undefined) {
      this.#deliver(socket, facts, chain, null)
      return
    }
    this.#environment.security.secure(tls, this.#isHttp1 ? 'http/1.1' : 'h2', socket, result => {
      if (result instanceof Error) this.#refuse(socket, facts, result.message)
      else this.#enterSecured(socket, result.socket, facts, chain, result.peer)
    })
  }

  /** The listener may have changed during the handshake. */
  #enterSecured(raw: Socket, socket: TLSSocket, facts: ConnectionFacts, before: CompiledChain, peer: VerifiedPeer | null): void {
    const chain = this.#chainFor(facts)
    if (chain === undefined || !isDeepStrictEqual(chain.tls, before.tls)) {
      this.#refuse(raw, facts, 'the listener has changed')
    } else if (!this.#isHttp1 && socket.alpnProtocol !== 'h2') {
      this.#refuse(raw, facts, 'the client does not speak HTTP/2')
    } else {
      this.#waiting.delete(raw)
      this.#deliver(socket, facts, chain, peer)
    }
  }

  #chainFor(facts: ConnectionFacts): CompiledChain | undefined {
    const { serving } = this.#watch
    return serving.kind === 'ready' ? serving.listener.find(facts) : undefined
  }

  #refuse(socket: Socket, { sourceAddress, sourcePort }: ConnectionFacts, why: string): void {
    this.#environment.logger.info(`connection of ${sourceAddress}:${sourcePort} is refused: ${why}`)
    socket.destroy()
  }

  #deliver(socket: Socket, facts: ConnectionFacts, chain: CompiledChain | null, peer: VerifiedPeer | null): void {
    if (socket.destroyed) return
    this.#waiting.delete(socket)
    const serverName = socket instanceof TLSSocket && typeof socket.servername === 'string' ? socket.servername : ''
    const connection = new InboundConnection(socket, facts, chain, peer, serverName)
    setConnection(socket, connection)
    this.#live.add(connection)
    socket.once('close', () => this.#live.delete(connection))
    if (peer !== null) this.#keepSweeping()
    // Where TLS is ended here, a server with TLS of its own gets what it would have made itself.
    const event = socket instanceof TLSSocket && this.#server instanceof TlsServer ? 'secureConnection' : 'connection'
    this.#delivered = socket
    try {
      this.#emit.call(this.#server, event, socket)
    } finally {
      this.#delivered = null
    }
    if (!(socket instanceof TLSSocket)) socket.removeListener('error', ignore)
  }

  /** A server with TLS of its own has done its handshake. */
  #noteOwnTls(socket: TLSSocket): void {
    const raw = rawSocketOf(socket)
    const connection = raw === null ? undefined : connectionOf(raw)
    if (connection !== undefined) setConnection(socket, connection)
    this.#delivered = socket
  }

  /** Sessions are made while their socket is handed over; what they call their socket is another object. */
  #noteSession(session: ServerHttp2Session): void {
    const connection = this.#delivered === null ? undefined : connectionOf(this.#delivered)
    if (connection === undefined) return
    setConnection(session, connection)
    connection.session = session
  }

  /** Goes on under the listener of now where nothing but policies has changed, else it is drained. */
  #revise(connection: InboundConnection): void {
    const { serving } = this.#watch
    if (serving.kind === 'pending' || serving.kind === 'open') return
    const chain = this.#chainFor(connection.facts)
    if (chain !== undefined && isDeepStrictEqual(chain.tls, connection.chain?.tls)) connection.chain = chain
    else connection.drain(this.#environment.clock)
  }

  /** Nobody stays who would not be let in now. */
  #check(): void {
    const { security, clock, logger } = this.#environment
    for (const connection of this.#live) {
      const { peer, chain, facts, isDraining } = connection
      if (peer === null || chain?.tls === undefined || isDraining) continue
      const problem = security.problemNow(chain.tls, peer)
      if (problem === undefined) continue
      logger.warn(`connection of ${facts.sourceAddress}:${facts.sourcePort} is ended: ${problem}`, { peer: peer.spiffeId })
      connection.drain(clock)
    }
  }

  /** Certificates expire while their connections live. */
  #keepSweeping(): void {
    this.#sweep ??= this.#environment.clock.setTimeout(() => {
      this.#sweep = null
      this.#check()
      if (this.#live.size > 0) this.#keepSweeping()
    }, sweepMs)
  }
}

function factsOf(socket: Socket, transportProtocol: ConnectionFacts['transportProtocol']): ConnectionFacts {
  return {
    destinationAddress: socket.localAddress ?? '',
    destinationPort: socket.localPort ?? 0,
    sourceAddress: socket.remoteAddress ?? '',
    sourcePort: socket.remotePort ?? 0,
    transportProtocol,
  }
}

function isSocket(value: unknown): value is Socket {
  return typeof value === 'object' && value !== null && 'destroy' in value && 'remoteAddress' in value
}

function ignore(): void {}
