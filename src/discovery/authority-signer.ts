import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import type { WorkloadIdentity } from '../security/certificate-provider.ts'
import { type CertificateSigner, CertificateSignerError, type SignedCertificate } from '../security/certificate-signer.ts'
import type { JoinToken } from '../security/join-token.ts'
import { findPinnedRoot } from '../security/pinned-root.ts'
import { authoritiesOf, issuersOf, ownCertificate } from '../security/tls-material.ts'
import { createCertificatePath, decodeCertificateResponse, encodeCertificateRequest } from './certificate-messages.ts'
import { isControlPlaneOf } from './control-plane-identity.ts'
import { callUnary, connectOver, GrpcStatusError } from './grpc-call.ts'
import { parseGrpcTarget } from './grpc-target.ts'

/** How the first certificate is asked for. */
export type AuthorityCredentials =
  /** Proves once who this is, and tells by its pin whom to believe. */
  | { readonly kind: 'join-token'; readonly token: JoinToken }
  /** A token that is read anew each time, and the roots of the authority: as Istio's agent has them on Kubernetes. */
  | { readonly kind: 'token-file'; readonly tokenFile: string; readonly caCertificateFile: string }

/** Options of {@link AuthoritySigner}. */
export interface AuthoritySignerOptions {
  /** A gRPC target of `istio.v1.auth.IstioCertificateService`. */
  readonly target: string
  readonly credentials: AuthorityCredentials
  /** Lifetime to ask for; default 0: what the authority thinks fit. */
  readonly validitySeconds?: number
}

/** UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, INTERNAL, UNKNOWN: another try may do. */
const passing: ReadonlySet<number> = new Set([14, 4, 8, 10, 13, 2, 1])
const unauthenticated = 16
/** What may be done of it: while there is no certificate, and with one. */
const hints = [
  '; a join token is good once, for the time that `inmesh token create` gave it',
  '; the certificate has ended or was revoked, and nothing but a start with a new join token makes another',
] as const
const connectTimeoutMs = 10_000

/**
 * Asks `istio.v1.auth.IstioCertificateService/CreateCertificate`, which the control plane of this project and istiod serve. The first time
 * with a token, over a connection whose root has the token's pin; later, where the token is good for once, with the certificate of now.
 */
export class AuthoritySigner implements CertificateSigner {
  readonly #options: AuthoritySignerOptions
  readonly #sockets = new Set<TLSSocket>()

  constructor(options: AuthoritySignerOptions) {
    this.#options = options
  }

  async sign(csr: string, current: WorkloadIdentity | undefined, signal: AbortSignal): Promise<SignedCertificate> {
    const { credentials, validitySeconds = 0 } = this.#options
    const tls = await this.#tlsOptions(current, signal)
    const bearer = bearerOf(credentials, current)
    const socket = await this.#connect({ ...tls, ...this.#address(), ALPNProtocols: ['h2'] }, signal)
    const { session, end } = connectOver(socket, `https://${parseGrpcTarget(this.#options.target).authority}`)
    try {
      const answer = await callUnary(session, {
        path: createCertificatePath,
        message: encodeCertificateRequest(csr, validitySeconds),
        signal,
        ...(bearer === undefined ? undefined : { metadata: { authorization: `Bearer ${bearer}` } }),
      })
      return split(decodeCertificateResponse(answer))
    } catch (error) {
      if (!(error instanceof GrpcStatusError)) throw error
      const hint = error.code === unauthenticated && credentials.kind === 'join-token' ? hints[current === undefined ? 0 : 1] : ''
      throw new CertificateSignerError(`the certificate authority: ${error.message}${hint}`, !passing.has(error.code), {
        cause: error,
      })
    } finally {
      end()
    }
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #address(): ConnectionOptions {
    const address = parseGrpcTarget(this.#options.target)
    if (address.kind === 'unix') return { path: address.path }
    const { host, port } = address
    return { host, port, ...(isIP(host) === 0 ? { servername: host } : undefined) }
  }

  async #tlsOptions(current: WorkloadIdentity | undefined, signal: AbortSignal): Promise<ConnectionOptions> {
    const { credentials } = this.#options
    if (credentials.kind === 'token-file') return { ca: [readFile(credentials.caCertificateFile)] }
    if (current !== undefined)
      return {
        ca: authoritiesOf(current),
        ...ownCertificate(current),
        checkServerIdentity: isControlPlaneOf(current.svid.trustDomain),
      }
    const root = await this.#pinnedRoot(credentials.token, signal)
    return { ca: root.toString(), checkServerIdentity: isControlPlaneOf(undefined) }
  }

  /** Nothing is sent on this connection: whom it leads to is not known yet. */
  async #pinnedRoot(token: JoinToken, signal: AbortSignal): Promise<X509Certificate> {
    const socket = await this.#connect({ ...this.#address(), ALPNProtocols: ['h2'], rejectUnauthorized: false }, signal)
    const leaf = socket.getPeerCertificate(true)
    socket.destroy()
    const root = findPinnedRoot([new X509Certificate(leaf.raw), ...issuersOf(leaf)], token.pin)
    if (root !== undefined) return root
    throw new CertificateSignerError(
      `${this.#options.target} has not the root whose fingerprint is in the join token: it is another control plane, or somebody in its place`,
      true,
    )
  }

  #connect(options: ConnectionOptions, signal: AbortSignal): Promise<TLSSocket> {
    return new Promise((resolve, reject) => {
      const socket = connect({ minVersion: 'TLSv1.3', ...options })
      const onAbort = () => socket.destroy(signal.reason)
      const fail = (message: string, cause?: Error) =>
        reject(new CertificateSignerError(`${this.#options.target}: ${message}`, false, { cause }))
      signal.addEventListener('abort', onAbort)
      this.#sockets.add(socket)
      socket.setTimeout(connectTimeoutMs, () => socket.destroy(new Error(`no connection within ${connectTimeoutMs} ms`)))
      socket.once('close', () => {
        signal.removeEventListener('abort', onAbort)
        this.#sockets.delete(socket)
        fail('the connection was closed')
      })
      socket.once('error', error => fail(error.message, error))
      socket.once('secureConnect', () => {
        socket.setTimeout(0)
        resolve(socket)
      })
    })
  }
}

/** A token that is good for once is not shown again. */
function bearerOf(credentials: AuthorityCredentials, current: WorkloadIdentity | undefined): string | undefined {
  if (credentials.kind === 'token-file') return readFile(credentials.tokenFile).trim()
  return current === undefined ? credentials.token.bearer : undefined
}

function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new CertificateSignerError(cause instanceof Error ? cause.message : String(cause), false, { cause })
  }
}

/** The leaf and what is under a root, and the roots: those that signed themselves, and the last in any case, as Istio has it. */
function split(texts: readonly string[]): SignedCertificate {
  const certificates = texts
    .flatMap(text => text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [])
    .map(pem => new X509Certificate(pem))
  const isRoot = (certificate: X509Certificate, at: number) =>
    at === certificates.length - 1 || (certificate.ca && certificate.checkIssued(certificate))
  return { chain: certificates.filter((each, at) => !isRoot(each, at)), roots: certificates.filter(isRoot) }
}
