import type { CheckSettings, ExtAuthzConfig } from '../../policies/ext-authz/ext-authz-config.ts'
import type { FaultConfig } from '../../policies/fault.ts'
import type { JwtAuthnFilter } from '../../policies/jwt-provider.ts'
import type { RbacFilter } from '../../policies/rbac/rbac-rules.ts'
import type { StatefulSession } from '../../policies/stateful-session.ts'
import type { RouteConfiguration } from './route.ts'

/** An LDS resource as a client uses it: `envoy.config.listener.v3.Listener` with an `api_listener` or one HTTP filter chain. */
export interface Listener {
  readonly name: string
  readonly http: HttpConnectionManager
}

/** `HttpConnectionManager`, reduced to what a client obeys. */
export interface HttpConnectionManager {
  readonly routes:
    | { readonly kind: 'inline'; readonly routeConfiguration: RouteConfiguration }
    | { readonly kind: 'rds'; readonly routeConfigName: string }
  /** In order; the router is last and left out. */
  readonly filters: readonly HttpFilter[]
  /** `common_http_protocol_options.max_stream_duration`; `undefined` is unlimited. */
  readonly maxStreamDurationMs: number | undefined
  /** `stream_idle_timeout`; `undefined` is off. */
  readonly streamIdleTimeoutMs: number | undefined
  readonly normalizePath: boolean
  readonly mergeSlashes: boolean
}

/** One HTTP filter of the connection manager. */
export interface HttpFilter {
  readonly name: string
  readonly config: FilterConfig
}

/** The decoded configuration of a filter, or of its override at a virtual host, route or weighted cluster. */
export type FilterConfig =
  | { readonly kind: 'fault'; readonly fault: FaultConfig }
  /** Of a client. */
  | { readonly kind: 'stateful-session'; readonly session: StatefulSession }
  /** Of a server. */
  | { readonly kind: 'rbac'; readonly rbac: RbacFilter }
  /** Of a server. */
  | { readonly kind: 'jwt-authn'; readonly jwtAuthn: JwtAuthnFilter }
  /** Of a server. */
  | { readonly kind: 'ext-authz'; readonly extAuthz: ExtAuthzConfig }
  /** Of a route of a server: what its external authorizer is told beside. */
  | { readonly kind: 'check-settings'; readonly settings: CheckSettings }
  | { readonly kind: 'disabled' }
  /** Known and without effect on a client, or optional and unknown. */
  | { readonly kind: 'ignored'; readonly typeUrl: string }
