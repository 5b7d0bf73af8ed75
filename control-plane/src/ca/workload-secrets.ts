import { generateKeyPairSync } from 'node:crypto'
import { create } from '@bufbuild/protobuf'
import { type Secret, SecretSchema } from 'inmesh/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb'
import { setWallTimeout } from 'inmesh/security/wall-timeout'
import type { Clock, Logger, Timer } from '../runtime.ts'
import type { CertificateAuthority } from './certificate-authority.ts'

/** The names under which a proxy asks, as Istio's agent answers to them. */
const identityName = 'default'
const rootsName = 'ROOTCA'
const retryMs = 10_000

/** Options of {@link WorkloadSecrets}. */
export interface WorkloadSecretsOptions {
  readonly authority: CertificateAuthority
  readonly clock: Clock
  readonly logger: Logger
  /** Called when the secrets of anybody have changed. */
  onChange(): void
}

interface Entry {
  readonly timer: Timer | undefined
  readonly identity: Secret | undefined
}

/**
 * The secrets of proxies, which cannot ask for a certificate themselves (Envoy, SDS): a key and a certificate for the identity that a proxy
 * has proved, renewed at half of their life, and the roots of the trust domain. The key is made here, and goes to the proxy alone.
 */
export class WorkloadSecrets {
  readonly #options: WorkloadSecretsOptions
  readonly #entries = new Map<string, Entry>()
  readonly #unsubscribe: () => void
  #roots: Secret
  #closed = false

  constructor(options: WorkloadSecretsOptions) {
    const { authority } = options
    this.#options = options
    this.#roots = rootsOf(authority)
    this.#unsubscribe = authority.onChange(() => {
      this.#roots = rootsOf(authority)
      options.onChange()
    })
  }

  /** By name. Without a certificate for a moment, when they are asked for the first time. */
  of(spiffeId: string): ReadonlyMap<string, Secret> {
    const entry = this.#entries.get(spiffeId)
    if (entry === undefined) {
      this.#entries.set(spiffeId, { timer: undefined, identity: undefined })
      void this.#issue(spiffeId)
    }
    const secrets = new Map([[rootsName, this.#roots]])
    if (entry?.identity !== undefined) secrets.set(identityName, entry.identity)
    return secrets
  }

  close(): void {
    this.#closed = true
    this.#unsubscribe()
    for (const { timer } of this.#entries.values()) timer?.cancel()
  }

  async #issue(spiffeId: string): Promise<void> {
    const { authority, clock, logger } = this.#options
    const known = this.#entries.get(spiffeId)?.identity
    try {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const der = publicKey.export({ type: 'spki', format: 'der' })
      const issued = await authority.issue({ spiffeId, publicKey: der, ttlMs: 0, method: 'sds', peer: 'sds' })
      const key = String(privateKey.export({ type: 'pkcs8', format: 'pem' }))
      this.#set(spiffeId, secretOf(issued.certificate, key), (issued.notAfterMs - clock.wallNow()) / 2)
    } catch (error) {
      logger.error('a certificate for a proxy could not be issued', { spiffeId, error: String(error) })
      this.#set(spiffeId, known, retryMs)
    }
  }

  #set(spiffeId: string, identity: Secret | undefined, renewInMs: number): void {
    if (this.#closed) return
    const timer = setWallTimeout(this.#options.clock, () => void this.#issue(spiffeId), renewInMs)
    this.#entries.set(spiffeId, { timer, identity })
    this.#options.onChange()
  }
}

const inline = (value: string) => ({ specifier: { case: 'inlineString' as const, value } })

function secretOf(certificate: string, key: string): Secret {
  const value = { certificateChain: inline(certificate), privateKey: inline(key) }
  return create(SecretSchema, { name: identityName, type: { case: 'tlsCertificate', value } })
}

function rootsOf({ bundle }: CertificateAuthority): Secret {
  const value = { trustedCa: inline(bundle.roots.join('\n')) }
  return create(SecretSchema, { name: rootsName, type: { case: 'validationContext', value } })
}
