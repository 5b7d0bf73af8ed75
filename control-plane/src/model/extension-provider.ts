import type { ObjectMeta } from './object-meta.ts'

/** What is read of Istio's MeshConfig. */
export interface MeshConfig {
  readonly meta: ObjectMeta
  readonly extensionProviders: readonly ExtensionProvider[]
}

/** An external authorizer that an AuthorizationPolicy of the action CUSTOM names. */
export interface ExtensionProvider {
  readonly name: string
  /** Host of a service that is known, with the namespace in front and a slash between, or without. */
  readonly service: string
  readonly port: number
  /** Default 600,000, as in Istio. */
  readonly timeoutMs: number
  /** Lets in whom nobody can be asked about. Default false. */
  readonly failOpen: boolean
  /** 200 to 599, when nobody can be asked; `undefined`: 403. */
  readonly statusOnError: number | undefined
  readonly body: RequestBodyInCheck | undefined
  /** What the authorizer changed may lead to another route. Default false. */
  readonly clearsRouteCache: boolean
  /** `undefined`: it is asked over gRPC. */
  readonly http: HttpProvider | undefined
}

/** How an authorizer is asked over HTTP. Headers are names, or the beginning or the end of one with `*` for the rest. */
export interface HttpProvider {
  /** Empty, or begins with a slash. */
  readonly pathPrefix: string
  readonly includeRequestHeaders: readonly string[]
  readonly includeAdditionalHeaders: Readonly<Record<string, string>>
  readonly headersToUpstreamOnAllow: readonly string[]
  readonly headersToDownstreamOnDeny: readonly string[]
  readonly headersToDownstreamOnAllow: readonly string[]
}

/** `includeRequestBodyInCheck`. */
export interface RequestBodyInCheck {
  /** > 0. */
  readonly maxRequestBytes: number
  readonly allowPartialMessage: boolean
  readonly packAsBytes: boolean
}
