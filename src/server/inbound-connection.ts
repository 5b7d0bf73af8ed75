import type { ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { InboundPeer, SocketEndpoint } from '../policies/rbac/inbound-attributes.ts'
import type { Clock } from '../runtime.ts'
import type { InboundRequest } from '../telemetry/inbound-request.ts'
import type { CompiledChain } from './compiled-listener.ts'
import type { ConnectionFacts } from './filter-chain-match.ts'
import type { VerifiedPeer } from './verified-peer.ts'

/** How long a connection that is to go may stay idle, so that a request that is on its way to it is answered. */
const idleGraceMs = 5_000
/** Longest life of a connection that is to go; with the sweep, less than the 30 s after which nobody stays who is not trusted. */
const drainDeadlineMs = 15_000

/** A connection that a server of the mesh has taken. */
export class InboundConnection {
  /** What its next request is served by; `null` while nothing is configured. Replaced when the listener changes. */
  chain: CompiledChain | null
  readonly facts: ConnectionFacts
  /** Who is at the other end; `null` without TLS, or without a certificate. */
  readonly peer: VerifiedPeer | null
  /** Over TLS. */
  readonly isSecure: boolean
  /** SNI; empty without. */
  readonly serverName: string
  /** Who its requests come from, as authorization reads it. */
  readonly source: InboundPeer
  readonly destination: SocketEndpoint
  /** It is to be closed as soon as it can be. */
  isDraining = false
  readonly #socket: Socket
  #session: ServerHttp2Session | null = null
  #active = 0

  /** @param socket that the server above reads from */
  constructor(
    socket: Socket,
    facts: ConnectionFacts,
    chain: CompiledChain | null,
    peer: VerifiedPeer | null,
    serverName: string,
  ) {
    this.#socket = socket
    this.facts = facts
    this.chain = chain
    this.peer = peer
    this.isSecure = 'encrypted' in socket && socket.encrypted === true
    this.serverName = serverName
    this.source = {
      isSecure: this.isSecure,
      principals: peer?.principals ?? [],
      names: peer?.allNames ?? [],
      address: facts.sourceAddress,
      port: facts.sourcePort,
    }
    this.destination = { address: facts.destinationAddress, port: facts.destinationPort }
  }

  /** It speaks HTTP/2. */
  set session(session: ServerHttp2Session) {
    this.#session = session
    if (this.isDraining) session.close()
  }

  /** A request has come over HTTP/1. */
  begin(): void {
    this.#active++
  }

  /** It is answered. */
  end(): void {
    this.#active--
  }

  /** Nothing new, and closed once what is in flight is answered, or the deadline is past. */
  drain(clock: Clock): void {
    if (this.isDraining) return
    this.isDraining = true
    const deadline = clock.setTimeout(() => this.#socket.destroy(), drainDeadlineMs)
    const idle = clock.setTimeout(() => {
      if (this.#session === null && this.#active === 0) this.#socket.end()
    }, idleGraceMs)
    this.#socket.once('close', () => {
      deadline.cancel()
      idle.cancel()
    })
    this.#session?.close()
  }
}

const connections = new WeakMap<object, InboundConnection>()

/** Notes what a socket or an HTTP/2 session stands for. */
export function setConnection(of: Socket | ServerHttp2Session, connection: InboundConnection): void {
  connections.set(of, connection)
}

/** The connection of a socket as its server sees it, or of an HTTP/2 session; `undefined` where no gate is in front of the server. */
export function connectionOf(of: object): InboundConnection | undefined {
  return connections.get(of)
}

/** Who is at the other end of a connection, and how it is secured: what telemetry tells of it. */
export function sourceOf(
  connection: InboundConnection | undefined,
  socket: object | undefined,
): Pick<InboundRequest, 'sourcePrincipal' | 'security'> {
  const peer = connection?.peer
  if (peer) return { sourcePrincipal: peer.principals[0] ?? '', security: 'mutual_tls' }
  return {
    sourcePrincipal: '',
    security: socket !== undefined && 'encrypted' in socket && socket.encrypted === true ? 'tls' : 'none',
  }
}
