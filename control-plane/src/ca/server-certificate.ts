import { constants, generateKeyPairSync, type X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { setWallTimeout } from 'inmesh/security/wall-timeout'
import type { Clock, Logger, Timer } from '../runtime.ts'
import type { PeerIdentity } from '../xds/grpc-call.ts'
import type { ServerTls } from '../xds/server-tls.ts'
import type { CertificateAuthority } from './certificate-authority.ts'
import { peerIdentity } from './peer-certificate.ts'

const retryMs = 60_000
const defaultTtlMs = 24 * 3_600_000

/** Options of {@link ServerCertificate.create}. */
export interface ServerCertificateOptions {
  readonly authority: CertificateAuthority
  readonly clock: Clock
  readonly logger: Logger
  /** `[0, 1)`; spreads renewals. */
  readonly random: () => number
  readonly spiffeId: string
  readonly dnsNames: readonly string[]
  readonly ipAddresses: readonly string[]
}

/** The control plane's own certificate: renewed at about half of its life and when the root changes, the last good one kept. */
export class ServerCertificate implements ServerTls {
  readonly #options: ServerCertificateOptions
  readonly #listeners = new Set<() => void>()
  readonly #unsubscribe: () => void
  #context: SecureContextOptions = {}
  /** PEM of the root that it is under. */
  #root = ''
  #timer: Timer | undefined
  #closed = false

  private constructor(options: ServerCertificateOptions) {
    this.#options = options
    this.#unsubscribe = options.authority.onChange(({ roots }) => {
      if (roots.at(-1) === this.#root) this.#replace({ ...this.#context, ca: [...roots] })
      else this.#renew()
    })
  }

  /** @throws when the authority issues none */
  static async create(options: ServerCertificateOptions): Promise<ServerCertificate> {
    const certificate = new ServerCertificate(options)
    await certificate.#issue()
    return certificate
  }

  get context(): SecureContextOptions {
    return this.#context
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  identify(certificate: X509Certificate, peer: string): PeerIdentity | undefined {
    const { authority, clock, logger } = this.#options
    try {
      return peerIdentity(certificate, authority.bundle, clock.wallNow())
    } catch (error) {
      logger.warn('a client certificate does not count', { peer, error: error instanceof Error ? error.message : String(error) })
      return undefined
    }
  }

  accepts({ serial, notAfterMs }: PeerIdentity): boolean {
    const { authority, clock } = this.#options
    return clock.wallNow() < notAfterMs && !authority.isRevoked(serial)
  }

  /** Stops renewing. */
  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#unsubscribe()
  }

  async #renew(): Promise<void> {
    try {
      await this.#issue()
    } catch (error) {
      this.#options.logger.error('the server certificate cannot be renewed', { error: String(error) })
      this.#schedule(retryMs)
    }
  }

  async #issue(): Promise<void> {
    const { authority, clock, random, spiffeId, dnsNames, ipAddresses } = this.#options
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const issued = await authority.issue({
      spiffeId,
      publicKey: publicKey.export({ type: 'spki', format: 'der' }),
      ttlMs: defaultTtlMs,
      method: 'self',
      peer: '',
      dnsNames,
      ipAddresses,
    })
    if (this.#closed) return
    this.#root = issued.root
    this.#replace({
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      // The root too: a client that has only its pin finds it there.
      cert: `${issued.certificate}\n${issued.root}`,
      ca: [...authority.bundle.roots],
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
      // A resumed session would skip every check of the certificate.
      secureOptions: constants.SSL_OP_NO_TICKET,
    })
    const lifeMs = issued.notAfterMs - clock.wallNow()
    this.#schedule(lifeMs * (0.5 + (random() - 0.5) * 0.2))
  }

  #replace(context: SecureContextOptions): void {
    createSecureContext(context)
    this.#context = context
    for (const listener of this.#listeners) listener()
  }

  #schedule(delayMs: number): void {
    this.#timer?.cancel()
    if (!this.#closed) this.#timer = setWallTimeout(this.#options.clock, () => this.#renew(), Math.max(delayMs, 1000))
  }
}
