import { X509Certificate } from 'node:crypto'
import { isIP, type Socket } from 'node:net'
import { checkServerIdentity, createSecureContext, type PeerCertificate, type SecureContext } from 'node:tls'
import type { TransportSocketMatch, UpstreamTls } from '../discovery/model/cluster.ts'
import type { LbEndpoint } from '../discovery/model/endpoint.ts'
import type { SubjectAltNameMatcher } from '../discovery/model/tls.ts'
import { type Clock, systemClock } from '../runtime.ts'
import type { WorkloadIdentity } from '../security/certificate-provider.ts'
import { Identities } from '../security/identities.ts'
import { SvidValidator } from '../security/svid-validator.ts'
import { authoritiesOf, containsAll, issuersOf, ownCertificate } from '../security/tls-material.ts'
import type { TrustBundles } from '../security/trust-bundle.ts'
import { SubjectAltNameCheck } from './subject-alt-names.ts'

/** The part of Node's TLS options that {@link UpstreamSecurity.connectOptions} sets. */
export interface TlsConnectOptions {
  /** Empty: none is sent. An IP address is none (RFC 6066 section 3). */
  readonly servername: string
  readonly secureContext: SecureContext
  readonly rejectUnauthorized: true
  readonly checkServerIdentity?: (hostname: string, certificate: PeerCertificate) => Error | undefined
}

/** Less than the 30 s after which no connection is left under a root that was taken away. */
const untrustedGraceMs = 20_000

/** How upstreams are verified, and who this process is to them. */
export class UpstreamSecurity {
  readonly #identities: Identities
  readonly #validator: SvidValidator
  readonly #contexts = new WeakMap<UpstreamTls, { readonly identities: readonly unknown[]; readonly context: SecureContext }>()
  readonly #checks = new WeakMap<UpstreamTls, SubjectAltNameCheck>()
  readonly #clock: Clock
  /** Open connections, by the roots that they were made with. */
  readonly #sockets = new Map<Socket, { readonly instance: string; readonly bundles: TrustBundles }>()

  constructor(clock: Clock, identities: Identities = new Identities()) {
    this.#identities = identities
    this.#clock = clock
    this.#validator = new SvidValidator(clock)
    identities.subscribe((instance, identity) => this.#endUntrusted(instance, identity))
  }

  /** Follows a connection that was made over `tls`: it does not outlive the roots that it was made with. */
  watch({ trust }: UpstreamTls, socket: Socket): void {
    const identity = trust.kind === 'provider' ? this.#identities.current(trust.instance) : undefined
    if (trust.kind !== 'provider' || identity === undefined) return
    this.#sockets.set(socket, { instance: trust.instance, bundles: identity.bundles })
    socket.once('close', () => this.#sockets.delete(socket))
  }

  /**
   * How an endpoint is spoken to: the first of `transport_socket_matches` that its metadata fits, else the cluster's own way. A process that
   * has no identity at all passes over the entries that need one, as a workload outside of the mesh would; one that has an identity never
   * does, not even while its certificate is on the way.
   */
  choose(
    tls: UpstreamTls | undefined,
    matches: readonly TransportSocketMatch[],
    { transportSocketMatch, hostname }: Pick<LbEndpoint, 'transportSocketMatch' | 'hostname'>,
  ): SecureTransport | undefined {
    const chosen = matches.find(match => fits(match, transportSocketMatch) && this.#isPossible(match.tls))
    const found = chosen === undefined ? tls : chosen.tls
    return found && new SecureTransport(found, this, hostname)
  }

  /** The identity that new connections over `tls` are made with. */
  identityOf({ certificate, trust }: UpstreamTls): WorkloadIdentity | undefined {
    if (certificate?.kind === 'provider') return this.#identities.current(certificate.instance)
    return trust.kind === 'provider' ? this.#identities.current(trust.instance) : undefined
  }

  /**
   * Node's TLS options for a new connection. The peer is always verified against the given roots. With roots of the mesh its certificate must be
   * an SVID of a trusted domain (SPIFFE X509-SVID) with one of the given names; else it must be for one of the given names, or where there are
   * none for the SNI, or for the name that is called. The SNI is chosen as in Envoy, and the names as well (gRFC A101).
   *
   * @param called the logical host name
   * @param endpointName the hostname of the endpoint; empty where it has none
   * @throws MeshError `MESH_ERR_IDENTITY` while the certificate or the roots are not there, or the certificate has expired
   */
  connectOptions(tls: UpstreamTls, called: string, endpointName: string): TlsConnectOptions {
    const name = tls.autoSni ? called : tls.autoHostSni && endpointName !== '' ? endpointName : tls.sni
    const servername = isIP(name) === 0 ? name : ''
    const check = this.#checkOf(tls, this.#namesOf(tls, servername, called), servername === '' ? name || called : '')
    return {
      servername,
      secureContext: this.#contextOf(tls),
      rejectUnauthorized: true,
      ...(check === undefined ? undefined : { checkServerIdentity: (_hostname, certificate) => check(certificate) }),
    }
  }

  /** Calls in flight have a while; new ones are on new connections already. */
  #endUntrusted(changed: string, { bundles }: WorkloadIdentity): void {
    for (const [socket, { instance, bundles: before }] of this.#sockets) {
      if (instance !== changed || containsAll(bundles, before)) continue
      this.#sockets.delete(socket)
      const timer = this.#clock.setTimeout(() => socket.destroy(), untrustedGraceMs)
      socket.once('close', () => timer.cancel())
    }
  }

  #isPossible(tls: UpstreamTls | undefined): boolean {
    if (tls === undefined) return true
    const { certificate, trust } = tls
    if (certificate?.kind === 'provider' && !this.#identities.has(certificate.instance)) return false
    return trust.kind !== 'provider' || this.#identities.has(trust.instance)
  }

  #contextOf(tls: UpstreamTls): SecureContext {
    const own =
      tls.certificate?.kind === 'provider' ? this.#identities.own(tls.certificate.instance, this.#clock.wallNow()) : undefined
    const trusted = tls.trust.kind === 'provider' ? this.#identities.trusted(tls.trust.instance) : undefined
    const known = this.#contexts.get(tls)
    if (known !== undefined && known.identities[0] === own && known.identities[1] === trusted) return known.context
    const { certificate, trust, minVersion, maxVersion } = tls
    const context = createSecureContext({
      minVersion: minVersion ?? (trusted === undefined || maxVersion === 'TLSv1.2' ? 'TLSv1.2' : 'TLSv1.3'),
      maxVersion,
      ...(own === undefined ? undefined : ownCertificate(own)),
      ...(certificate?.kind === 'inline'
        ? { cert: certificate.certificateChain, key: certificate.privateKey.reveal() }
        : undefined),
      // Not the text itself: an empty one would mean the roots that Node brings.
      ...(trust.kind === 'inline' ? { ca: [trust.ca] } : undefined),
      ...(trusted === undefined ? undefined : { ca: authoritiesOf(trusted) }),
    })
    this.#contexts.set(tls, { identities: [own, trusted], context })
    return context
  }

  /** The names of which the peer's certificate must have one; `undefined` where it is to be for the host. */
  #namesOf(tls: UpstreamTls, servername: string, called: string): SubjectAltNameCheck | undefined {
    if (tls.autoSanValidation) return new SubjectAltNameCheck([exactName('any', called)])
    if (tls.autoSniSanValidation && servername !== '') return new SubjectAltNameCheck([exactName('dns', servername)])
    const { subjectAltNames } = tls
    if (tls.trust.kind !== 'provider' && subjectAltNames.length === 0) return undefined
    let names = this.#checks.get(tls)
    if (names === undefined) {
      names = new SubjectAltNameCheck(subjectAltNames)
      this.#checks.set(tls, names)
    }
    return names
  }

  /**
   * What is asked of the peer's certificate once its chain is good; `undefined`: what Node asks, which is that it is for the SNI. Never throws,
   * which Node could not stand.
   *
   * @param host for which the certificate is to be where there are no names and no SNI
   */
  #checkOf(
    { trust }: UpstreamTls,
    names: SubjectAltNameCheck | undefined,
    host: string,
  ): ((certificate: PeerCertificate) => Error | undefined) | undefined {
    if (names === undefined && host === '') return undefined
    return certificate => {
      try {
        if (names === undefined) return checkServerIdentity(host, certificate)
        const problem =
          (trust.kind === 'provider' ? this.#svidProblem(certificate, trust.instance) : undefined) ??
          names.problem(certificate.raw)
        return problem === undefined ? undefined : new Error(problem)
      } catch (error) {
        return error instanceof Error ? error : new Error(String(error))
      }
    }
  }

  #svidProblem(certificate: PeerCertificate, instance: string): string | undefined {
    const bundles = this.#identities.trusted(instance).bundles
    const verdict = this.#validator.validate(new X509Certificate(certificate.raw), issuersOf(certificate), bundles, 'server')
    return verdict.ok ? undefined : `${verdict.problem}: ${verdict.detail}`
  }
}

/** TLS to an endpoint. */
export class SecureTransport {
  readonly #tls: UpstreamTls
  readonly #security: UpstreamSecurity
  readonly #endpointName: string

  /** @param endpointName the hostname of the endpoint */
  constructor(tls: UpstreamTls, security: UpstreamSecurity, endpointName = '') {
    this.#tls = tls
    this.#security = security
    this.#endpointName = endpointName
  }

  /** The identity that new connections are made with; `undefined` where none of the mesh is, or it is not there yet. */
  get identity(): WorkloadIdentity | undefined {
    return this.#security.identityOf(this.#tls)
  }

  /** See {@link UpstreamSecurity.connectOptions}. */
  connectOptions(called: string): TlsConnectOptions {
    return this.#security.connectOptions(this.#tls, called, this.#endpointName)
  }

  /** See {@link UpstreamSecurity.watch}. */
  watch(socket: Socket): void {
    this.#security.watch(this.#tls, socket)
  }
}

/** Verified against the roots that Node brings, for the name that is called. */
export const publicTls = new SecureTransport(
  {
    sni: '',
    autoHostSni: false,
    autoSni: true,
    certificate: undefined,
    trust: { kind: 'system' },
    subjectAltNames: [],
    autoSniSanValidation: false,
    autoSanValidation: false,
    alpnProtocols: [],
    minVersion: undefined,
    maxVersion: 'TLSv1.3',
  },
  new UpstreamSecurity(systemClock),
)

function fits({ criteria }: TransportSocketMatch, metadata: Readonly<Record<string, string>> | undefined): boolean {
  for (const [key, value] of Object.entries(criteria)) if (metadata?.[key] !== value) return false
  return true
}

const exactName = (type: SubjectAltNameMatcher['type'], value: string): SubjectAltNameMatcher => ({
  type,
  matcher: { kind: 'exact', value, ignoreCase: false },
})
