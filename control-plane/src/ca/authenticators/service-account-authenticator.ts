import { errors, type JWTPayload, jwtVerify } from 'jose'
import type { Clock } from '../../runtime.ts'
import { serviceIdentity } from '../spiffe-id.ts'
import {
  AuthenticationError,
  type Authenticator,
  AuthenticatorUnavailableError,
  type Caller,
  type Credentials,
} from './authenticator.ts'
import type { JwksSource } from './jwks-source.ts'

/** Longer than any service-account token. */
const maxTokenLength = 16 * 1024
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512']

/** Options of {@link ServiceAccountAuthenticator}. */
export interface ServiceAccountAuthenticatorOptions {
  readonly trustDomain: string
  readonly clock: Clock
  /** `iss`, exactly. */
  readonly issuer: string
  /** One of `aud`, exactly: tokens for other services prove nothing here. */
  readonly audience: string
  readonly keys: JwksSource
}

/**
 * Knows callers by a Kubernetes service-account token that was projected for this control plane: `system:serviceaccount:NS:SA` is
 * `spiffe://TD/ns/NS/sa/SA`.
 */
export class ServiceAccountAuthenticator implements Authenticator {
  readonly #options: ServiceAccountAuthenticatorOptions

  constructor(options: ServiceAccountAuthenticatorOptions) {
    this.#options = options
  }

  claims({ bearer }: Credentials): boolean {
    return bearer !== undefined && !bearer.startsWith('inmesh1.')
  }

  async authenticate({ bearer = '' }: Credentials): Promise<Caller> {
    if (bearer.length > maxTokenLength) throw new AuthenticationError('the token is too long')
    const { sub = '' } = await this.#verify(bearer)
    const [, namespace = '', account = ''] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(sub) ?? []
    const spiffeId = serviceIdentity(this.#options.trustDomain, namespace, account)
    if (!spiffeId) throw new AuthenticationError('the subject of the token is no service account')
    return { spiffeId, method: 'service_account' }
  }

  async #verify(token: string): Promise<JWTPayload> {
    const { keys, issuer, audience, clock } = this.#options
    const options = { issuer, audience, algorithms, requiredClaims: ['exp', 'sub'], currentDate: new Date(clock.wallNow()) }
    try {
      try {
        return (await jwtVerify(token, await keys.current(), options)).payload
      } catch (error) {
        // The issuer may have a new key.
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
        return (await jwtVerify(token, await keys.refreshed(), options)).payload
      }
    } catch (error) {
      if (error instanceof AuthenticatorUnavailableError) throw error
      // `jose` puts no part of a token into its messages.
      throw new AuthenticationError(error instanceof Error ? error.message : 'the token is not valid', { cause: error })
    }
  }
}
