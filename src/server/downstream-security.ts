import { constants, X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { createServer, type TLSSocket, type TlsOptions, type Server as TlsServer } from 'node:tls'
import { SubjectAltNameCheck } from '../client/subject-alt-names.ts'
import type { DownstreamTls } from '../discovery/model/inbound-listener.ts'
import type { Clock } from '../runtime.ts'
import { readExtensions } from '../security/certificate-extensions.ts'
import type { WorkloadIdentity } from '../security/certificate-provider.ts'
import type { Identities } from '../security/identities.ts'
import { SvidValidator } from '../security/svid-validator.ts'
import { authoritiesOf, containsAll, issuersOf, ownCertificate } from '../security/tls-material.ts'
import type { TrustBundles } from '../security/trust-bundle.ts'
import { rawSocketOf } from './raw-socket.ts'
import { VerifiedPeer } from './verified-peer.ts'

/** A connection whose TLS handshake is done. */
export interface SecuredConnection {
  readonly socket: TLSSocket
  /** `null`: the client gave no certificate. */
  readonly peer: VerifiedPeer | null
}

/** How the handshake of a connection ends. */
export type SecuredHandler = (result: SecuredConnection | Error) => void

const handshakeTimeoutMs = 10_000
/** No ticket: on a resumed session Node checks nothing of the peer. */
const secureOptions = constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION

interface Entry {
  readonly identities: readonly unknown[]
  readonly server: TlsServer
}

/** Serves TLS by a `DownstreamTlsContext`: who this process is to its clients, and whom it takes. */
export class DownstreamSecurity {
  readonly #identities: Identities
  readonly #validator: SvidValidator
  readonly #clock: Clock
  readonly #servers = new WeakMap<DownstreamTls, Map<string, Entry>>()
  readonly #checks = new WeakMap<DownstreamTls, SubjectAltNameCheck>()
  readonly #givenIds = new WeakMap<DownstreamTls, string>()
  readonly #waiting = new WeakMap<Socket, SecuredHandler>()

  constructor(clock: Clock, identities: Identities) {
    this.#identities = identities
    this.#clock = clock
    this.#validator = new SvidValidator(clock)
  }

  /** Calls `listener` whenever whom this process trusts, or who it is, has changed. Returns what ends that. */
  subscribe(listener: () => void): () => void {
    return this.#identities.subscribe(listener)
  }

  /**
   * Does the handshake on a plain connection. `onEnd` is called once, with an error when the connection was closed for it.
   *
   * @param alpn what the server above speaks
   */
  secure(tls: DownstreamTls, alpn: 'h2' | 'http/1.1', socket: Socket, onEnd: SecuredHandler): void {
    let server: TlsServer
    try {
      server = this.#serverOf(tls, alpn)
    } catch (error) {
      onEnd(error instanceof Error ? error : new Error(String(error)))
      socket.destroy()
      return
    }
    // As the connections of an HTTP server are: one that is given up during the handshake would stay.
    socket.allowHalfOpen = false
    this.#waiting.set(socket, onEnd)
    socket.once('close', () => this.#end(socket, new Error('the connection was closed during the TLS handshake')))
    server.emit('connection', socket)
  }

  /** Why a client that was let in is not to stay; `undefined`: it is. */
  problemNow(tls: DownstreamTls, { certificate, bundles }: VerifiedPeer): string | undefined {
    const now = tls.trust?.kind === 'provider' ? this.#identities.current(tls.trust.instance)?.bundles : undefined
    // What the client sent beside its leaf is gone, so its chain cannot be built again: it is good for as long as no root has been removed.
    const isVerified = now !== undefined && bundles !== undefined && containsAll(now, bundles)
    return this.#problem(tls, certificate, [], isVerified)
  }

  #end(socket: Socket, result: SecuredConnection | Error): void {
    const onEnd = this.#waiting.get(socket)
    this.#waiting.delete(socket)
    onEnd?.(result)
  }

  #serverOf(tls: DownstreamTls, alpn: string): TlsServer {
    const own =
      tls.certificate.kind === 'provider' ? this.#identities.own(tls.certificate.instance, this.#clock.wallNow()) : undefined
    const trusted = tls.trust?.kind === 'provider' ? this.#identities.trusted(tls.trust.instance) : undefined
    const byAlpn = this.#servers.get(tls) ?? new Map<string, Entry>()
    this.#servers.set(tls, byAlpn)
    const known = byAlpn.get(alpn)
    if (known !== undefined && known.identities[0] === own && known.identities[1] === trusted) return known.server
    const server = createServer(optionsOf(tls, own, trusted, alpn))
    server.on('secureConnection', socket => this.#onSecure(tls, socket, own))
    server.on('tlsClientError', (error, socket) => {
      const raw = rawSocketOf(socket)
      if (raw !== null) this.#end(raw, error)
      socket.destroy()
    })
    byAlpn.set(alpn, { identities: [own, trusted], server })
    return server
  }

  #onSecure(tls: DownstreamTls, socket: TLSSocket, own: WorkloadIdentity | undefined): void {
    const raw = rawSocketOf(socket)
    // Whoever takes the connection listens too.
    socket.on('error', () => {})
    const result = this.#verify(tls, socket, own)
    if (result instanceof Error) socket.destroy()
    if (raw !== null) this.#end(raw, result)
  }

  #verify(tls: DownstreamTls, socket: TLSSocket, own: WorkloadIdentity | undefined): SecuredConnection | Error {
    try {
      const given = socket.getPeerCertificate(true)
      if (given === null || given.raw === undefined) {
        return tls.requiresClientCertificate ? new Error('the client has no certificate') : { socket, peer: null }
      }
      if (tls.trust === undefined) return { socket, peer: null }
      if (!socket.authorized) return new Error(`the client's certificate: ${String(socket.authorizationError)}`)
      const certificate = new X509Certificate(given.raw)
      const problem = this.#problem(tls, certificate, issuersOf(given), true)
      if (problem !== undefined) return new Error(`the client's certificate: ${problem}`)
      return { socket, peer: new VerifiedPeer(certificate, own?.svid.spiffeId ?? this.#givenId(tls), this.#bundlesOf(tls)) }
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    }
  }

  /** @param isVerified its chain was, with the roots of now */
  #problem(
    tls: DownstreamTls,
    certificate: X509Certificate,
    issuers: readonly X509Certificate[],
    isVerified: boolean,
  ): string | undefined {
    if (tls.trust?.kind === 'provider') {
      const { bundles } = this.#identities.trusted(tls.trust.instance)
      const verdict = this.#validator.validate(certificate, issuers, bundles, 'client', isVerified)
      if (!verdict.ok) return `${verdict.problem}: ${verdict.detail}`
    }
    if (tls.subjectAltNames.length === 0) return undefined
    let check = this.#checks.get(tls)
    if (check === undefined) {
      check = new SubjectAltNameCheck(tls.subjectAltNames)
      this.#checks.set(tls, check)
    }
    return check.problem(certificate.raw)
  }

  /** The first URI of a certificate that the configuration holds; empty without one. */
  #givenId(tls: DownstreamTls): string {
    if (tls.certificate.kind !== 'inline') return ''
    let id = this.#givenIds.get(tls)
    if (id === undefined) {
      const { raw } = new X509Certificate(tls.certificate.certificateChain)
      id = readExtensions(raw).subjectAltNames?.uris[0] ?? ''
      this.#givenIds.set(tls, id)
    }
    return id
  }

  #bundlesOf({ trust }: DownstreamTls): TrustBundles | undefined {
    return trust?.kind === 'provider' ? this.#identities.current(trust.instance)?.bundles : undefined
  }
}

function optionsOf(
  { certificate, trust, minVersion, maxVersion, requiresClientCertificate }: DownstreamTls,
  own: WorkloadIdentity | undefined,
  trusted: WorkloadIdentity | undefined,
  alpn: string,
): TlsOptions {
  return {
    minVersion: minVersion ?? (trusted === undefined || maxVersion === 'TLSv1.2' ? 'TLSv1.2' : 'TLSv1.3'),
    maxVersion,
    secureOptions,
    handshakeTimeout: handshakeTimeoutMs,
    ALPNProtocols: [alpn],
    requestCert: trust !== undefined,
    rejectUnauthorized: requiresClientCertificate,
    ...(own === undefined ? undefined : ownCertificate(own)),
    ...(certificate.kind === 'inline' ? { cert: certificate.certificateChain, key: certificate.privateKey.reveal() } : undefined),
    // Never the roots that Node brings, which an empty text would mean.
    ca: trusted !== undefined ? authoritiesOf(trusted) : trust?.kind === 'inline' ? [trust.ca] : [],
  }
}
