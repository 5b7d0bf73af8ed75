/** `envoy.extensions.filters.http.jwt_authn.v3.JwtProvider`: whose tokens are believed. */
export interface JwtProvider {
  readonly name: string
  /** Exactly; empty: any whose keys these are. */
  readonly issuer: string
  /** One of them must be the token's; empty: any. */
  readonly audiences: readonly string[]
  readonly keys: /** A JSON Web Key Set. */
    | { readonly kind: 'local'; readonly jwks: string }
    | { readonly kind: 'remote'; readonly uri: string; readonly timeoutMs: number }
  /** Without any place, `Authorization: Bearer` and the parameter `access_token`. */
  readonly fromHeaders: readonly { readonly name: string; readonly prefix: string }[]
  readonly fromParams: readonly string[]
  readonly fromCookies: readonly string[]
  /** Whether the application sees the token; one from a cookie it sees always. */
  readonly forward: boolean
  /** Header that gets the payload in base64url; empty: none. */
  readonly payloadHeader: string
  /** Headers that get a claim; one inside others by their names with dots between. */
  readonly claimHeaders: readonly { readonly header: string; readonly claim: string }[]
  /** Claims that are lists with spaces between. */
  readonly spaceDelimitedClaims: readonly string[]
  readonly clockSkewMs: number
}

/** The filter: a token that is there must be good, and none is fine (`allow_missing`), unless one is required. */
export interface JwtAuthnFilter {
  readonly providers: readonly JwtProvider[]
  readonly isRequired: boolean
  /** Whether a CORS preflight passes whatever token comes with it. */
  readonly bypassesCorsPreflight: boolean
}
