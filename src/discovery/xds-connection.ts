import { readFileSync } from 'node:fs'
import type { ClientHttp2Session, ClientHttp2Stream, ClientSessionOptions, SecureClientSessionOptions } from 'node:http2'
import { connect as connectSocket, isIP, type Socket } from 'node:net'
import { type Clock, setPatientTimeout, type Timer } from '../runtime.ts'
import type { WorkloadIdentity } from '../security/certificate-provider.ts'
import type { Identities } from '../security/identities.ts'
import { containsAll, ownCertificate } from '../security/tls-material.ts'
import type { TrustBundles } from '../security/trust-bundle.ts'
import { version } from '../version.ts'
import { isControlPlaneOf } from './control-plane-identity.ts'
import { type GrpcAddress, parseGrpcTarget } from './grpc-target.ts'
import { workloadIdentity } from './model/tls.ts'
import type { XdsCredentials } from './xds-server.ts'

type Http2 = typeof import('node:http2')

/** Above what Node allows by default: the endpoints of a large cluster come as one message and are not held back by a window. */
const windowBytes = 4 * 1024 * 1024
/** Until a connection is made, its TLS handshake and the peer's settings included. */
const connectTimeoutMs = 20_000
/** A connection on which nothing came for so long is asked for a sign of life. */
const keepaliveTimeMs = 15_000
/** How long that sign may take. */
const keepaliveTimeoutMs = 5_000
/** Less than the 30 s after which no connection is left under a root that was taken away. */
const untrustedGraceMs = 20_000
/** `ENHANCE_YOUR_CALM` (RFC 9113, section 7): too many pings. */
const enhanceYourCalm = 11

/** What {@link XdsConnection} is made of. */
export interface XdsConnectionOptions {
  /** A gRPC target. */
  readonly uri: string
  readonly credentials: XdsCredentials
  readonly identities: Identities
  readonly clock: Clock
  /** Doubled by the connection's owner for each that was ended by {@link XdsConnection.pingedTooOften}. Default 15,000. */
  readonly keepaliveTimeMs?: number
}

/**
 * One HTTP/2 connection to a control plane. It does not keep the process alive: a program that has nothing else to do may end.
 */
export class XdsConnection {
  readonly #session: ClientHttp2Session
  readonly #authority: string
  readonly #clock: Clock
  /** See {@link XdsConnectionOptions.keepaliveTimeMs}. */
  readonly keepaliveTimeMs: number
  #socket: Socket | null = null
  #connecting: Timer | null
  #keepalive: Timer | null = null
  #untrusted: Timer | null = null
  #error: Error | null = null
  #isReady = false
  /** Something came since the keepalive timer was set. */
  #isActive = false
  #isGoing = false
  #isOver = false
  /** The server found the pings too many. */
  pingedTooOften = false

  /** @throws Error for a target that cannot be read, or a file of the credentials */
  constructor(http2: Http2, { uri, credentials, identities, clock, ...options }: XdsConnectionOptions) {
    const address = parseGrpcTarget(uri)
    this.#authority = address.authority
    this.#clock = clock
    this.keepaliveTimeMs = options.keepaliveTimeMs ?? keepaliveTimeMs
    const scheme = credentials.kind === 'insecure' ? 'http' : 'https'
    this.#session = http2.connect(`${scheme}://${address.authority}`, sessionOptions(address, credentials, identities))
    const unsubscribe = credentials.kind === 'identity' ? this.#followRoots(identities) : undefined
    this.#session.unref()
    this.#connecting = clock.setTimeout(
      () => this.destroy(new Error(`no connection within ${connectTimeoutMs} ms`)),
      connectTimeoutMs,
    )
    this.#session.once('connect', (_session, socket) => {
      this.#socket = socket
      if (!this.#session.destroyed) this.#session.setLocalWindowSize(windowBytes)
    })
    this.#session.once('remoteSettings', () => this.#onReady())
    this.#session.on('error', error => {
      this.#error ??= error
    })
    this.#session.once('goaway', code => {
      this.#isGoing = true
      this.pingedTooOften = code === enhanceYourCalm
    })
    this.#session.once('close', () => {
      this.#isOver = true
      this.#connecting?.cancel()
      this.#keepalive?.cancel()
      this.#untrusted?.cancel()
      unsubscribe?.()
    })
  }

  /** Whether another stream can be opened. */
  get isUsable(): boolean {
    return !this.#isGoing && !this.#session.closed && !this.#session.destroyed
  }

  /** Why it broke, if it did. */
  get error(): Error | null {
    return this.#error
  }

  /** Calls `listener` once the peer is known to speak HTTP/2, later than now. */
  onReady(listener: () => void): void {
    if (this.#isReady) queueMicrotask(listener)
    else this.#session.once('remoteSettings', listener)
  }

  /** Opens a gRPC call. */
  request(path: string, metadata: Readonly<Record<string, string>> = {}): ClientHttp2Stream {
    return this.#session.request({
      ':method': 'POST',
      ':path': path,
      ':authority': this.#authority,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-accept-encoding': 'identity',
      'user-agent': `inmesh/${version}`,
      ...metadata,
    })
  }

  /** Something came: no sign of life is needed for a while. */
  touch(): void {
    this.#isActive = true
  }

  /** Ends it with its last stream. */
  close(): void {
    this.#session.close()
  }

  /** Ends it, and every stream on it. */
  destroy(error?: Error): void {
    if (error !== undefined) this.#error ??= error
    // One that was closed before waits for its peer to hang up, also when it is destroyed.
    if (this.#session.closed) this.#socket?.destroy()
    this.#session.destroy(error)
  }

  /** It does not outlive the roots that it was made with. */
  #followRoots(identities: Identities): () => void {
    const before = ownRoots(identities.current(workloadIdentity))
    return identities.subscribe((instance, identity) => {
      if (instance !== workloadIdentity || containsAll(ownRoots(identity), before)) return
      const gone = new Error('a root that it was verified with is not trusted any more')
      this.#untrusted ??= this.#clock.setTimeout(() => this.destroy(gone), untrustedGraceMs)
    })
  }

  #onReady(): void {
    this.#isReady = true
    this.#connecting?.cancel()
    this.#connecting = null
    this.#watch()
  }

  #watch(): void {
    if (this.#isOver) return
    this.#isActive = false
    this.#keepalive?.cancel()
    this.#keepalive = this.#clock.setTimeout(() => (this.#isActive ? this.#watch() : this.#ping()), this.keepaliveTimeMs)
  }

  #ping(): void {
    if (this.#session.destroyed) {
      // It is over but for a peer that does not hang up.
      this.destroy()
      return
    }
    const overdue = () => this.destroy(new Error(`no answer to a ping within ${keepaliveTimeoutMs} ms`))
    this.#keepalive = setPatientTimeout(this.#clock, overdue, keepaliveTimeoutMs)
    this.#session.ping(error => {
      if (error === null) this.#watch()
    })
  }
}

function sessionOptions(
  address: GrpcAddress,
  credentials: XdsCredentials,
  identities: Identities,
): ClientSessionOptions | SecureClientSessionOptions {
  const shared = {
    settings: { enablePush: false, initialWindowSize: windowBytes },
    // The limit is for servers that must fear their clients.
    maxSessionMemory: Number.MAX_SAFE_INTEGER,
  }
  const plain = address.kind === 'unix' ? { ...shared, createConnection: () => connectSocket(address.path) } : shared
  if (credentials.kind === 'insecure') return plain
  if (credentials.kind === 'identity') return { ...shared, ...ownTls(address, identities) }
  const { caCertificateFile, identity } = credentials
  return {
    ...shared,
    ...(address.kind === 'unix' ? { path: address.path } : {}),
    ...(caCertificateFile === undefined ? {} : { ca: readCredential('ca_certificate_file', caCertificateFile) }),
    ...(identity === undefined
      ? {}
      : {
          cert: readCredential('certificate_file', identity.certificateFile),
          key: readCredential('private_key_file', identity.privateKeyFile),
        }),
  }
}

function ownTls(address: GrpcAddress, identities: Identities): SecureClientSessionOptions {
  const identity = identities.current(workloadIdentity)
  if (identity === undefined) throw new Error('this workload has no certificate yet')
  const { trustDomain } = identity.svid
  return {
    minVersion: 'TLSv1.3',
    ca: (identity.bundles.get(trustDomain)?.authorities ?? []).map(String),
    ...ownCertificate(identity),
    checkServerIdentity: isControlPlaneOf(trustDomain),
    ...(address.kind === 'unix' ? { path: address.path } : {}),
    // An IP address is no server name.
    ...(address.kind === 'tcp' && isIP(address.host) !== 0 ? { servername: '' } : {}),
  }
}

/** Of the trust domain that the control plane is of. */
function ownRoots(identity: WorkloadIdentity | undefined): TrustBundles {
  const own = identity?.bundles.get(identity.svid.trustDomain)
  return new Map(own === undefined ? [] : [[own.trustDomain, own]])
}

/** @param field of the bootstrap's `channel_creds` */
function readCredential(field: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new Error(`channel_creds: ${field}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}
