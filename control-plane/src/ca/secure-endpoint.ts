import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import type { Runtime, Timer } from '../runtime.ts'
import type { GrpcHandler } from '../xds/grpc-call.ts'
import { GrpcServer, type GrpcServerOptions } from '../xds/grpc-server.ts'
import { adminMethods } from './admin-methods.ts'
import { AdminServer } from './admin-server.ts'
import type { Authenticator } from './authenticators/authenticator.ts'
import { ClientCertificateAuthenticator } from './authenticators/client-certificate-authenticator.ts'
import { JoinTokenAuthenticator } from './authenticators/join-token-authenticator.ts'
import { JwksSource } from './authenticators/jwks-source.ts'
import { readJwks } from './authenticators/read-jwks.ts'
import { ServiceAccountAuthenticator } from './authenticators/service-account-authenticator.ts'
import { BundleEndpoint } from './bundle-endpoint.ts'
import { type CaStore, openCaStore } from './ca-store.ts'
import { CertificateAuthority, type CertificateAuthorityOptions } from './certificate-authority.ts'
import { CertificateService } from './certificate-service.ts'
import { IdentifiedCalls } from './identified-calls.ts'
import { JoinTokens } from './join-tokens.ts'
import type { Passphrase } from './passphrase.ts'
import { ServerCertificate } from './server-certificate.ts'
import { refreshHintSeconds } from './trust-bundle.ts'

const rotationCheckMs = 60_000
/** After a start nobody is connected yet, which is no acknowledgement. Longer than the longest pause of a client between attempts. */
const settleMs = 5 * 60_000
/** SPIFFE Trust Domain and Bundle 4.1.2: a key is published for three to five refresh hints before it is used. */
const defaultOverlapMs = 5 * refreshHintSeconds * 1000

/** Which Kubernetes service-account tokens are believed. */
export interface ServiceAccountOptions {
  /** `iss`, exactly. */
  readonly issuer: string
  /** One of `aud`, exactly. */
  readonly audience: string
  /** URL or path of a file. */
  readonly jwks: string
  /** PEM file with the authorities of the JWKS server. Default: those of Node. */
  readonly jwksCaFile?: string
}

/** Options of {@link SecureEndpoint.start}. */
export interface SecureEndpointOptions
  extends Pick<CertificateAuthorityOptions, 'rootLifetimeMs' | 'defaultTtlMs' | 'maxTtlMs' | 'issuancesPerSecond'>,
    Pick<GrpcServerOptions, 'keepaliveIntervalMs' | 'maxConnections'> {
  readonly runtime: Runtime
  readonly trustDomain: string
  /** Folder in which the authority outlives a restart, in `ca/`. Without one it is a new one at each start, and has no admin socket. */
  readonly data?: string
  /** Encrypts the keys of the authority in {@link data}. Default: they are not encrypted. */
  readonly passphrase?: Passphrase
  /** Address to listen on. Default `127.0.0.1`. */
  readonly host?: string
  /** xDS and certificates. Default 15012; 0 takes a free port. */
  readonly port?: number
  /** SPIFFE bundle. Default 15013; 0 takes a free port. */
  readonly bundlePort?: number
  /** Names and addresses of the server beside `localhost` and {@link host}. */
  readonly serverNames?: readonly string[]
  /** Without it service-account tokens prove nothing. */
  readonly serviceAccounts?: ServiceAccountOptions
  /** Methods that need a client certificate: xDS. */
  readonly handlers: ReadonlyMap<string, GrpcHandler>
  /** How long a new root is published at least before it signs. Default 25 min. */
  readonly rootOverlapMs?: number
  /** `[0, 1)`. Default `Math.random`. */
  readonly random?: () => number
}

/** What a closed endpoint closes, in this order. */
interface Parts {
  readonly server: GrpcServer
  readonly bundles: BundleEndpoint
  readonly admin: AdminServer
  readonly certificate: ServerCertificate
  readonly store: CaStore
}

/** xDS and certificates over mutual TLS, the trust bundle over HTTPS, and the authority behind them. */
export class SecureEndpoint {
  readonly authority: CertificateAuthority
  readonly tokens: JoinTokens
  /** The control plane's own SPIFFE ID, which clients expect of the server. */
  readonly spiffeId: string
  readonly #options: SecureEndpointOptions
  readonly #calls: IdentifiedCalls
  readonly #parts: Parts
  readonly #startedAt: number
  #address = ''
  #bundleAddress = ''
  #timer: Timer | undefined

  private constructor(
    options: SecureEndpointOptions,
    store: CaStore,
    authority: CertificateAuthority,
    tokens: JoinTokens,
    certificate: ServerCertificate,
    authenticators: readonly Authenticator[],
  ) {
    const { runtime, handlers, keepaliveIntervalMs, maxConnections } = options
    this.authority = authority
    this.tokens = tokens
    this.spiffeId = controlPlaneIdentity(authority.trustDomain)
    this.#options = options
    this.#calls = new IdentifiedCalls(runtime.clock)
    this.#startedAt = runtime.clock.now()
    const ownIdentity = this.spiffeId
    const service = new CertificateService({ ...runtime, authority, authenticators, ownIdentity })
    const secured = Array.from(handlers, ([path, handler]) => [path, this.#calls.require(handler)] as const)
    this.#parts = {
      server: new GrpcServer({
        ...runtime,
        ...(keepaliveIntervalMs === undefined ? {} : { keepaliveIntervalMs }),
        ...(maxConnections === undefined ? {} : { maxConnections }),
        tls: certificate,
        handlers: new Map([...secured, ...service.handlers()]),
      }),
      bundles: new BundleEndpoint({ ...runtime, tls: certificate, bundle: () => authority.bundle }),
      admin: new AdminServer(adminMethods({ authority, tokens, ...runtime, ownIdentity, advance: () => this.advanceRotation() })),
      certificate,
      store,
    }
    authority.onChange(() => this.#calls.recheck(identity => certificate.accepts(identity)))
  }

  /**
   * Reads or founds the authority and serves.
   *
   * @throws {LooseFileModeError} when others have access to the folder of the authority
   * @throws {SealedKeyError} when its keys are encrypted and the passphrase is missing or another
   * @throws when another process holds it, or an address cannot be bound
   */
  static async start(options: SecureEndpointOptions): Promise<SecureEndpoint> {
    const { runtime, trustDomain, host = '127.0.0.1', serverNames = [], random = Math.random } = options
    const store = await openCaStore(options.data, options.passphrase)
    let endpoint: SecureEndpoint | undefined
    try {
      const authority = await CertificateAuthority.open({ ...options, ...runtime, store })
      const tokens = await JoinTokens.open({ trustDomain, store, clock: runtime.clock })
      const names = [...new Set(['localhost', '127.0.0.1', '::1', host, ...serverNames])].filter(name => !isUnspecified(name))
      const certificate = await ServerCertificate.create({
        ...runtime,
        authority,
        random,
        spiffeId: controlPlaneIdentity(trustDomain),
        dnsNames: names.filter(name => isIP(name) === 0),
        ipAddresses: names.filter(name => isIP(name) !== 0),
      })
      const authenticators = [
        new JoinTokenAuthenticator(tokens),
        ...(await serviceAccountAuthenticators(options)),
        new ClientCertificateAuthenticator(),
      ]
      endpoint = new SecureEndpoint(options, store, authority, tokens, certificate, authenticators)
      await endpoint.#listen(host)
      return endpoint
    } catch (error) {
      if (endpoint) await endpoint.close()
      else await store.close()
      throw error
    }
  }

  /** `host:port` of xDS and certificates. */
  get address(): string {
    return this.#address
  }

  /** `host:port` of the SPIFFE bundle. */
  get bundleAddress(): string {
    return this.#bundleAddress
  }

  /** Replaces the root: publishes a new one now, which signs as soon as every connected client has it. */
  async rotateRoot(): Promise<void> {
    this.authority.requestRotation()
    await this.advanceRotation()
  }

  /** Takes the steps of a rotation that are due. Happens by itself every minute. */
  async advanceRotation(): Promise<void> {
    await this.authority.advanceRotation(version => this.#acknowledged(version), this.#overlapMs)
  }

  /** Ends the calls, stops and lets another process have the authority. */
  async close(): Promise<void> {
    this.#timer?.cancel()
    const { server, bundles, admin, certificate, store } = this.#parts
    certificate.close()
    await Promise.all([server.close(), bundles.close(), admin.close()])
    await store.close()
  }

  async #listen(host: string): Promise<void> {
    const { port = 15_012, bundlePort = 15_013 } = this.#options
    const { server, bundles, admin, store } = this.#parts
    this.#address = await server.listen(host, port)
    this.#bundleAddress = await bundles.listen(host, bundlePort)
    if (store.folder !== undefined) await admin.listen(store.folder)
    this.#schedule()
  }

  /**
   * A certificate is handed out with the whole bundle, so a client whose certificate is younger than the new root has that root. Calls
   * end with their certificate, so that sooner or later every connected client has a younger one.
   */
  #acknowledged(bundleVersion: number): boolean {
    const { next } = this.authority.rotation
    if (!next || next.bundleVersion !== bundleVersion) return false
    const settled = this.#options.runtime.clock.now() >= this.#startedAt + Math.min(settleMs, this.#overlapMs)
    return settled && this.#calls.allIssuedSince(next.publishedAtMs)
  }

  get #overlapMs(): number {
    return this.#options.rootOverlapMs ?? defaultOverlapMs
  }

  #schedule(): void {
    this.#timer = this.#options.runtime.clock.setTimeout(() => {
      this.advanceRotation().catch(error =>
        this.#options.runtime.logger.error('the root rotation failed', { error: String(error) }),
      )
      this.#schedule()
    }, rotationCheckMs)
  }
}

/** The identity of the control plane itself. */
export function controlPlaneIdentity(trustDomain: string): string {
  return `spiffe://${trustDomain}/ns/inmesh-system/sa/control-plane`
}

async function serviceAccountAuthenticators(options: SecureEndpointOptions): Promise<readonly Authenticator[]> {
  const { runtime, trustDomain, serviceAccounts } = options
  if (!serviceAccounts) return []
  const { issuer, audience, jwks, jwksCaFile } = serviceAccounts
  const ca = jwksCaFile === undefined ? {} : { ca: await readFile(jwksCaFile, 'utf8') }
  const keys = new JwksSource({ ...runtime, read: () => readJwks({ location: jwks, ...ca }) })
  return [new ServiceAccountAuthenticator({ trustDomain, clock: runtime.clock, issuer, audience, keys })]
}

/** `0.0.0.0` and `::` name no host. */
function isUnspecified(name: string): boolean {
  return /^[0.]+$/.test(name) || /^[0:]+$/.test(name)
}
