import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose'
import type { JwtAuthnFilter, JwtProvider } from '../policies/jwt-provider.ts'
import type { Clock } from '../runtime.ts'
import type { Denial } from './denial.ts'
import { fetchKeys } from './fetch-keys.ts'
import type { RequestFilter } from './request-filters.ts'
import type { RequestView } from './request-view.ts'
import { type FoundToken, takeOff, tokensIn } from './token-locations.ts'
import { tellOfToken } from './verified-token.ts'

/** Asymmetric, and none of them `none`: those of SPIFFE (JWT-SVID, section 2.1), and what Envoy knows beside them. */
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']
/** Longer ones are not looked at. */
const maxTokenLength = 16_384
/** How long keys that were fetched are used while no newer ones can be. */
const maxStaleMs = 3_600_000

interface Verified {
  readonly payload: JWTPayload
  readonly provider: JwtProvider
}

interface Refused {
  readonly message: string
  readonly statusCode: number
}

interface Verifier {
  readonly provider: JwtProvider
  readonly keys: JWTVerifyGetKey
}

/** The filter `envoy.filters.http.jwt_authn` of a server. */
export class JwtRequestFilter implements RequestFilter {
  readonly #verifiers: readonly Verifier[]
  readonly #isRequired: boolean
  readonly #bypassesCorsPreflight: boolean
  readonly #ownHeaders: readonly string[]
  readonly #clock: Clock

  /** @throws Error when keys that are given cannot be read */
  constructor({ providers, isRequired, bypassesCorsPreflight }: JwtAuthnFilter, clock: Clock) {
    this.#verifiers = providers.map(provider => ({ provider, keys: keysOf(provider, clock) }))
    this.#isRequired = isRequired
    this.#bypassesCorsPreflight = bypassesCorsPreflight
    this.#ownHeaders = providers
      .flatMap(({ payloadHeader, claimHeaders }) => [payloadHeader, ...claimHeaders.map(({ header }) => header)])
      .filter(name => name !== '')
    this.#clock = clock
  }

  judge(request: RequestView): Denial | null | Promise<Denial | null> {
    // Whoever calls does not say what is in a token.
    for (const name of this.#ownHeaders) if (request.header(name) !== undefined) request.removeHeader(name)
    if (this.#bypassesCorsPreflight && isCorsPreflight(request)) return null
    const found = this.#verifiers.flatMap(verifier => tokensIn(request, verifier.provider).map(token => ({ verifier, token })))
    if (found.length > 0) return this.#verifyAll(request, found)
    return this.#isRequired ? denied(request, 'Jwt is missing') : null
  }

  /**
   * Every token that is there must be good; one that several providers look for, with one of them. The first one, in headers before
   * parameters before cookies, says who asks.
   */
  async #verifyAll(
    request: RequestView,
    found: readonly { readonly verifier: Verifier; readonly token: FoundToken }[],
  ): Promise<Denial | null> {
    const byText = Map.groupBy(found, ({ token }) => token.text)
    let isTold = false
    for (const [text, places] of byText) {
      const verdict = await this.#verify(
        text,
        places.map(({ verifier }) => verifier),
      )
      if (!('payload' in verdict)) return denied(request, verdict.message, verdict.statusCode)
      const { payload, provider } = verdict
      if (!isTold) tellOfToken(request, provider, payload)
      isTold = true
      if (!provider.forward) for (const { verifier, token } of places) if (verifier.provider === provider) takeOff(request, token)
    }
    return null
  }

  async #verify(text: string, verifiers: readonly Verifier[]): Promise<Verified | Refused> {
    if (text.length > maxTokenLength) return { message: 'Jwt is too long', statusCode: 401 }
    let issuer: string | undefined
    try {
      issuer = decodeJwt(text).iss
    } catch {
      return { message: 'Jwt is not in the form of Header.Payload.Signature', statusCode: 401 }
    }
    const candidates = verifiers.filter(({ provider }) => provider.issuer === '' || provider.issuer === issuer)
    let failure: Refused = { message: 'Jwt issuer is not configured', statusCode: 401 }
    for (const { provider, keys } of candidates) {
      try {
        const { payload } = await jwtVerify(text, keys, {
          algorithms,
          requiredClaims: ['exp'],
          clockTolerance: provider.clockSkewMs / 1000,
          currentDate: new Date(this.#clock.wallNow()),
          ...(provider.issuer === '' ? undefined : { issuer: provider.issuer }),
          ...(provider.audiences.length === 0 ? undefined : { audience: [...provider.audiences] }),
        })
        return { payload, provider }
      } catch (error) {
        failure = failureOf(error)
      }
    }
    return failure
  }
}

/** Browsers send none of what a caller is known by with it (Fetch, CORS-preflight fetch). */
function isCorsPreflight(request: RequestView): boolean {
  const isGiven = (name: string) => (request.header(name)?.length ?? 0) > 0
  return request.method === 'OPTIONS' && isGiven('origin') && isGiven('access-control-request-method')
}

function failureOf(error: unknown): Refused {
  if (error instanceof errors.JWTExpired) return { message: 'Jwt is expired', statusCode: 401 }
  if (error instanceof errors.JWTClaimValidationFailed && error.claim === 'aud')
    return { message: 'Audiences in Jwt are not allowed', statusCode: 403 }
  if (error instanceof errors.JWTClaimValidationFailed && error.claim === 'nbf')
    return { message: 'Jwt not yet valid', statusCode: 401 }
  if (error instanceof errors.JOSEError) return { message: 'Jwt verification fails', statusCode: 401 }
  return { message: 'Jwks remote fetch is failed', statusCode: 401 }
}

function denied({ scheme, authority, pathname }: RequestView, message: string, statusCode = 401): Denial {
  const realm = `Bearer realm="${scheme}://${authority.replaceAll(/["\\]/g, '')}${pathname.replaceAll(/["\\]/g, '')}"`
  const challenge = message === 'Jwt is missing' ? realm : `${realm}, error="invalid_token"`
  return {
    statusCode,
    grpcStatus: statusCode === 401 ? 16 : 7,
    message,
    reason: message,
    ...(statusCode === 401 ? { headers: { 'www-authenticate': challenge } } : undefined),
  }
}

function keysOf({ keys, name }: JwtProvider, clock: Clock): JWTVerifyGetKey {
  if (keys.kind === 'local') return createLocalJWKSet(parseKeys(keys.jwks, name))
  if (!URL.canParse(keys.uri)) {
    return async () => {
      throw new Error(`the keys of ${name} cannot be fetched from ${keys.uri}`)
    }
  }
  const remote = createRemoteJWKSet(new URL(keys.uri), { timeoutDuration: keys.timeoutMs, [customFetch]: fetchKeys })
  let fetchedAt = 0
  return async (header, token) => {
    try {
      const key = await remote(header, token)
      fetchedAt = clock.now()
      return key
    } catch (error) {
      const last = remote.jwks()
      const isKnown = last !== undefined && clock.now() - fetchedAt < maxStaleMs
      // Of keys that there are, the one that is named is not one of them.
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys || !isKnown) throw error
      return createLocalJWKSet(last)(header, token)
    }
  }
}

function parseKeys(text: string, name: string): JSONWebKeySet {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Error(`the keys of ${name} are no JSON`, { cause })
  }
}
