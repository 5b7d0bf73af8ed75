import type { ObjectMeta } from './object-meta.ts'

/** `security.istio.io` RequestAuthentication: whose tokens are verified. A token that is there must be good; none is fine. */
export interface RequestAuthentication {
  readonly meta: ObjectMeta
  /** Labels that a workload must have; none for all of the namespace, or of the mesh in the root namespace. */
  readonly selector: Readonly<Record<string, string>>
  readonly jwtRules: readonly JwtRule[]
}

/** One issuer of tokens. */
export interface JwtRule {
  /** May be empty when `jwksUri` is not: any issuer that the keys verify. */
  readonly issuer: string
  /** Any of them; empty: every audience. */
  readonly audiences: readonly string[]
  /** Empty: OpenID discovery at the issuer, unless `jwks` has the keys. */
  readonly jwksUri: string
  /** JSON Web Key Set, or empty. */
  readonly jwks: string
  /** Where tokens are looked for; without any of the three, `Authorization: Bearer` and the parameter `access_token`. */
  readonly fromHeaders: readonly { readonly name: string; readonly prefix: string }[]
  readonly fromParams: readonly string[]
  readonly fromCookies: readonly string[]
  /** Header that gets the payload in base64url, or empty. */
  readonly outputPayloadToHeader: string
  readonly outputClaimToHeaders: readonly { readonly header: string; readonly claim: string }[]
  /** Whether the application sees the token. */
  readonly forwardOriginalToken: boolean
  /** Claims that are lists with spaces between; `scope` and `permission` are in any case. */
  readonly spaceDelimitedClaims: readonly string[]
  /** For fetching the keys. Default 5000. */
  readonly timeoutMs: number
}
