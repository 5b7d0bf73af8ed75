import { isIP, type TcpSocketConnectOpts } from 'node:net'
import type * as Undici from 'undici'
import type { UpstreamHttp } from '../../discovery/model/cluster.ts'
import type { Clock } from '../../runtime.ts'
import type { WorkloadIdentity } from '../../security/certificate-provider.ts'
import type { Address } from '../endpoint.ts'
import { publicTls, type SecureTransport } from '../upstream-tls.ts'
import { markConnectFailure, watchConnection } from './connection-failure.ts'
import { SocketReader } from './socket-reader.ts'
import { undiciConnections } from './undici.ts'

/** Where and how to connect: everything about an endpoint's connections that its cluster decides. */
export interface ConnectionOptions {
  /** IP address, host name (logical DNS), or path of a Unix socket when `port` is 0. */
  readonly address: string
  readonly port: number
  /** Other addresses of the same server; those of another port are left out, since Node cannot connect to several ports at once. */
  readonly alternatives?: readonly Address[]
  /** Includes the TLS handshake. */
  readonly connectTimeoutMs: number
  /** Connections of one pool at most. `Infinity` is unlimited. */
  readonly maxConnections: number
  readonly tls: SecureTransport | undefined
  readonly http: UpstreamHttp
  readonly clock: Clock
}

/** A server's hint in `Keep-Alive` is obeyed up to this: longer idle connections are the ones found closed when used. */
const keepAliveMaxTimeoutMs = 30_000
/** Idle time of a connection whose server gives no hint; below the 5 s after which Node and uvicorn servers close it. */
const keepAliveTimeoutMs = 4_000
/** Unset `idle_timeout` is decoded as Envoy's hour, which no plain server keeps a connection for. */
const envoyIdleTimeoutMs = 3_600_000
/** A session carries 100 streams; a second one is opened when it is full. */
const http2Connections = 2

/**
 * The connections to one endpoint: one undici `Pool` for each logical origin it is called by. The pool's origin stays the logical one, so
 * that the Host header, `server.address` of instrumentation and the SNI do; only its `connect` knows the endpoint.
 */
export class ConnectionPools {
  readonly #options: ConnectionOptions
  readonly #pools = new Map<string, Undici.Pool>()
  #lastOrigin = ''
  #lastPool: Undici.Pool | null = null
  #closing: Promise<void> | null = null
  /** That the connections were made with. */
  #identity: WorkloadIdentity | undefined

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.#identity = options.tls?.identity
  }

  /** The pool for calls to `origin` (`scheme://authority`); made on first use. */
  get(origin: string): Undici.Pool {
    const { tls } = this.#options
    if (tls !== undefined) this.#follow(tls.identity)
    if (this.#lastPool !== null && origin === this.#lastOrigin) return this.#lastPool
    let pool = this.#pools.get(origin)
    if (pool === undefined) {
      pool = createPool(origin, this.#options)
      this.#pools.set(origin, pool)
      // An exchange that picked this endpoint just before it was removed still gets its connection.
      if (this.#closing !== null) this.#closing = this.#closing.then(() => this.#closeAll())
    }
    this.#lastOrigin = origin
    this.#lastPool = pool
    return pool
  }

  /** With a new identity come new connections; what is in flight on the old ones goes on. */
  #follow(identity: WorkloadIdentity | undefined): void {
    if (identity === this.#identity) return
    this.#identity = identity
    void this.#closeAll()
  }

  /** Sockets open or opening, over all origins. */
  get connections(): number {
    let count = 0
    for (const pool of this.#pools.values()) count += pool.stats.connected
    return count
  }

  /** Ends the connections once what is in flight on them is done. */
  drain(): Promise<void> {
    this.#closing ??= this.#closeAll()
    return this.#closing
  }

  /** Ends the connections at once; requests in flight fail with `error`. */
  async destroy(error: Error): Promise<void> {
    await Promise.all([...this.#pools.values()].map(pool => pool.destroy(error)))
  }

  async #closeAll(): Promise<void> {
    const pools = [...this.#pools.values()]
    this.#pools.clear()
    this.#lastPool = null
    // Closed one turn late, so that what was picked in this turn is accepted.
    await new Promise<void>(resolve => setImmediate(resolve))
    await Promise.all(pools.map(pool => (pool.closed ? undefined : pool.close())))
  }
}

/** How long a connection without requests is kept when its server gives no hint. */
export function idleTimeoutOf({ idleTimeoutMs }: UpstreamHttp): number {
  const isUnset = idleTimeoutMs === undefined || idleTimeoutMs <= 0 || idleTimeoutMs === envoyIdleTimeoutMs
  return isUnset ? keepAliveTimeoutMs : idleTimeoutMs
}

function createPool(origin: string, options: ConnectionOptions): Undici.Pool {
  const { http, maxConnections } = options
  const isHttp2 = http.protocol === 'http2'
  const connections = isHttp2 ? Math.min(http2Connections, maxConnections) : maxConnections
  const { Pool } = undiciConnections()
  return new Pool(origin, {
    connections: Number.isFinite(connections) && connections < 0xffffffff ? Math.max(1, connections) : null,
    connect: connector(origin, options),
    keepAliveTimeout: idleTimeoutOf(http),
    keepAliveMaxTimeout: keepAliveMaxTimeoutMs,
    // The exchange has one timer for all its times; undici's own would be set and cleared for every request.
    headersTimeout: 0,
    bodyTimeout: 0,
    allowH2: isHttp2,
    clientTtl: http.maxConnectionDurationMs ?? null,
    ...(http.maxRequestsPerConnection === undefined ? undefined : { maxRequestsPerClient: http.maxRequestsPerConnection }),
  })
}

function connector(origin: string, options: ConnectionOptions): Undici.buildConnector.connector {
  const { address, port, connectTimeoutMs, http, clock } = options
  const { buildConnector, errors } = undiciConnections()
  const { protocol, hostname } = new URL(origin)
  // A caller who asked for https is never sent over plaintext, whatever the cluster says.
  const tls = options.tls ?? (protocol === 'https:' ? publicTls : undefined)
  const isHttp2 = http.protocol === 'http2'
  const others = port === 0 ? [] : (options.alternatives ?? []).filter(each => each.port === port).map(each => each.address)
  const connectOptions = {
    timeout: connectTimeoutMs,
    maxCachedSessions: 0,
    allowH2: isHttp2,
    preferH2: isHttp2,
    ...(isHttp2 && tls === undefined ? { useH2c: true } : undefined),
    ...(port === 0 ? { socketPath: address } : undefined),
    ...(others.length === 0 ? undefined : happyEyeballs([address, ...others])),
  }
  // TLS and HTTP/2 take the bytes from the socket below Node's streams.
  const isRead = !isHttp2 && tls === undefined
  const target = {
    // An address would not be looked up.
    hostname: others.length === 0 ? address : 'endpoint',
    host: others.length === 0 ? address : 'endpoint',
    protocol: tls === undefined ? 'http:' : 'https:',
    port: String(port),
  }
  return (_options, callback) => {
    let secured = connectOptions
    let to: typeof target & { servername?: string } = target
    if (tls !== undefined) {
      try {
        const tlsOptions = tls.connectOptions(hostname)
        secured = { ...connectOptions, ...tlsOptions }
        // With `host` undici would say that one where there is no SNI.
        to = { ...target, host: '', servername: tlsOptions.servername }
      } catch (error) {
        const failure = error instanceof Error ? error : new Error(String(error))
        markConnectFailure(failure)
        callback(failure, null)
        return
      }
    }
    let isOver = false
    // undici's own timer, which ends the socket, is up to a second late.
    const timer = clock.setTimeout(() => {
      isOver = true
      const error = new errors.ConnectTimeoutError(`connect timeout after ${connectTimeoutMs} ms`)
      markConnectFailure(error)
      callback(error, null)
    }, connectTimeoutMs)
    const reader = isRead ? new SocketReader() : null
    const connect = buildConnector(reader === null ? secured : { ...secured, onread: reader.onread })
    connect(to, (error, socket) => {
      timer.cancel()
      if (isOver) {
        socket?.destroy()
      } else if (error !== null) {
        markConnectFailure(error)
        callback(error, null)
      } else {
        reader?.attach(socket)
        watchConnection(socket)
        tls?.watch(socket)
        callback(null, socket)
      }
    })
  }
}

/** Connects to the first of several addresses that answers, each tried 250 ms after the one before (RFC 8305, gRFC A61). */
function happyEyeballs(addresses: readonly string[]): Partial<TcpSocketConnectOpts> {
  const found = addresses.map(address => ({ address, family: isIP(address) }))
  return {
    lookup: (_hostname, _options, callback) => callback(null, found),
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: 250,
  }
}
