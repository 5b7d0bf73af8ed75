import type { Clock, Logger } from '../runtime.ts'
import type { GrpcCall, GrpcHandler } from '../xds/grpc-call.ts'
import { statusCode } from '../xds/status-code.ts'
import { GrpcStatusError, unaryMethod } from '../xds/unary-method.ts'
import {
  AuthenticationError,
  type Authenticator,
  AuthenticatorUnavailableError,
  type Caller,
} from './authenticators/authenticator.ts'
import { type CertificateAuthority, ClockError, IssuanceLimitError, type IssuedCertificate } from './certificate-authority.ts'
import { type CertificateRequestMessage, decodeCertificateRequest, encodeCertificateResponse } from './certificate-messages.ts'
import { BadCertificateRequestError, requestedPublicKey } from './certificate-request.ts'
import { FailureLimit } from './failure-limit.ts'

/** Options of {@link CertificateService}. */
export interface CertificateServiceOptions {
  readonly authority: CertificateAuthority
  /** The first one that a caller's credentials are for decides. */
  readonly authenticators: readonly Authenticator[]
  /** The control plane's own identity, which nobody else gets. */
  readonly ownIdentity: string
  readonly clock: Clock
  readonly logger: Logger
}

/** `istio.v1.auth.IstioCertificateService`: workloads ask it for certificates. */
export class CertificateService {
  readonly #options: CertificateServiceOptions
  readonly #failures: FailureLimit

  constructor(options: CertificateServiceOptions) {
    this.#options = options
    this.#failures = new FailureLimit(options.clock)
  }

  /** Its one method by path. */
  handlers(): ReadonlyMap<string, GrpcHandler> {
    const { logger, clock } = this.#options
    const failed = (error: unknown) => logger.error('a certificate could not be issued', { error: String(error) })
    const method = unaryMethod((request, call) => this.#createCertificate(request, call), { clock, failed })
    return new Map([['/istio.v1.auth.IstioCertificateService/CreateCertificate', method]])
  }

  async #createCertificate(bytes: Uint8Array, call: GrpcCall): Promise<Uint8Array> {
    const { authority, logger } = this.#options
    const address = call.peer.slice(0, call.peer.lastIndexOf(':'))
    // Others may share the address, and are to come back: UNAUTHENTICATED would be final for them.
    if (!this.#failures.allows(address)) throw new GrpcStatusError(statusCode.resourceExhausted, 'too many failed attempts')
    try {
      const request = decode(bytes)
      const caller = await this.#authenticate(call, request)
      const publicKey = await requestedPublicKey(request.csr)
      authority.requireReady()
      // Last, so that no request that is refused for another reason uses a token up.
      if (caller.redeem && !(await caller.redeem())) throw new AuthenticationError('the one-time proof was used meanwhile')
      return response(await this.#issue(caller, publicKey, request, call))
    } catch (error) {
      if (error instanceof AuthenticationError) this.#failures.failed(address)
      logger.warn('a certificate request was refused', { peer: call.peer, error: String(error) })
      throw statusOf(error)
    }
  }

  /** Who gets nothing for a one-time proof, because many asked at once or the disk is full, can come back with it. */
  async #issue(
    caller: Caller,
    publicKey: Buffer,
    { validitySeconds }: CertificateRequestMessage,
    { peer }: GrpcCall,
  ): Promise<IssuedCertificate> {
    const { spiffeId, method } = caller
    try {
      return await this.#options.authority.issue({ spiffeId, publicKey, ttlMs: validitySeconds * 1000, method, peer })
    } catch (error) {
      await caller.giveBack?.()
      throw error
    }
  }

  async #authenticate({ authorization, peerIdentity }: GrpcCall, { metadata }: CertificateRequestMessage): Promise<Caller> {
    if (metadata && Object.hasOwn(metadata.fields, 'ImpersonatedIdentity'))
      throw new AuthenticationError('impersonation is not supported')
    const credentials = { bearer: bearerOf(authorization), peerIdentity }
    const authenticator = this.#options.authenticators.find(candidate => candidate.claims(credentials))
    if (!authenticator) throw new AuthenticationError('no credentials, or none of a known kind')
    const caller = await authenticator.authenticate(credentials)
    if (caller.spiffeId === this.#options.ownIdentity) throw new AuthenticationError('this identity is the control plane’s own')
    return caller
  }
}

function decode(bytes: Uint8Array): CertificateRequestMessage {
  try {
    return decodeCertificateRequest(bytes)
  } catch {
    throw new BadCertificateRequestError('the request cannot be read')
  }
}

/** The leaf first, then the roots, the one that signed it last: readers that know one root take the last. */
function response({ certificate, bundle, root }: IssuedCertificate): Uint8Array {
  return encodeCertificateResponse([certificate, ...bundle.roots.filter(other => other !== root), root])
}

/** RFC 6750 2.1. A header of another scheme is a bearer token that no authenticator knows, so that it is refused. */
function bearerOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined) return undefined
  return /^bearer ([A-Za-z0-9._~+/=-]+)$/i.exec(authorization)?.[1] ?? ''
}

function unauthenticated(): GrpcStatusError {
  return new GrpcStatusError(statusCode.unauthenticated, 'request authentication failure')
}

/** What the caller is told. */
function statusOf(error: unknown): unknown {
  if (error instanceof AuthenticationError) return unauthenticated()
  if (error instanceof BadCertificateRequestError) return new GrpcStatusError(statusCode.invalidArgument, error.message)
  if (error instanceof IssuanceLimitError) return new GrpcStatusError(statusCode.resourceExhausted, error.message)
  if (error instanceof ClockError || error instanceof AuthenticatorUnavailableError)
    return new GrpcStatusError(statusCode.unavailable, 'no certificates are issued at present')
  return error
}
