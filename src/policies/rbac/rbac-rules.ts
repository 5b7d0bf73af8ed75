import type { HeaderMatcher } from '../header-matcher.ts'
import type { StringMatcher } from '../string-matcher.ts'
import type { AuditLogging } from './audit-logger.ts'
import type { CidrRange } from './cidr-range.ts'
import type { MetadataMatcher } from './metadata-matcher.ts'

/** `envoy.extensions.filters.http.rbac.v3.RBAC`, decoded. */
export interface RbacFilter {
  /** `undefined`: nothing is enforced. Rules without policies are something else: ALLOW then lets nobody in. */
  readonly rules: RbacRules | undefined
  /** Evaluated and reported, never enforced (Istio's dry run); `undefined`: none. */
  readonly shadowRules: RbacRules | undefined
  /** In front of the statistics of the shadow rules; Istio tells its dry runs and CUSTOM policies apart by it. May be empty. */
  readonly shadowRulesStatPrefix: string
}

/** `RBAC.Action`: what a policy that matches means. LOG denies nothing. */
export type RbacAction = 'ALLOW' | 'DENY' | 'LOG'

/** `envoy.config.rbac.v3.RBAC`. */
export interface RbacRules {
  readonly action: RbacAction
  readonly policies: readonly RbacPolicy[]
  /** Who hears of the decisions (gRFC A59); absent: nobody. */
  readonly audit?: AuditLogging
}

/** `envoy.config.rbac.v3.Policy`: matches when one of the permissions and one of the principals does. */
export interface RbacPolicy {
  readonly name: string
  readonly permissions: readonly Permission[]
  readonly principals: readonly Principal[]
}

/** What permissions and principals have in common. */
export type SharedRule =
  | { readonly kind: 'any' }
  /** `:method`, `:path` (with the query) and `:authority` included; `host` means `:authority`. */
  | { readonly kind: 'header'; readonly matcher: HeaderMatcher }
  | { readonly kind: 'url-path'; readonly matcher: StringMatcher }
  | { readonly kind: 'metadata'; readonly matcher: MetadataMatcher }

/** All of them, or any. */
export interface RuleSet<Rule> {
  readonly kind: 'and' | 'or'
  readonly rules: readonly Rule[]
}

/** The contrary of one. */
export interface Negation<Rule> {
  readonly kind: 'not'
  readonly rule: Rule
}

/** `envoy.config.rbac.v3.Permission`: what is done. */
export type Permission =
  | SharedRule
  | RuleSet<Permission>
  | Negation<Permission>
  | { readonly kind: 'destination-ip'; readonly range: CidrRange }
  /** Half-open `[start, end)`; one port is a range of one. */
  | { readonly kind: 'destination-port'; readonly start: number; readonly end: number }
  | { readonly kind: 'requested-server-name'; readonly matcher: StringMatcher }
  /** `uri_template`; see `compilePathTemplate`. */
  | { readonly kind: 'uri-template'; readonly template: string }

/** `envoy.config.rbac.v3.Principal`: by whom. */
export type Principal =
  | SharedRule
  | RuleSet<Principal>
  | Negation<Principal>
  /** Without `name`: any peer that was authenticated. */
  | { readonly kind: 'authenticated'; readonly name: StringMatcher | undefined }
  /** `source_ip`, `direct_remote_ip` and `remote_ip`, which are one where no hop is trusted (gRFC A41). */
  | { readonly kind: 'remote-ip'; readonly range: CidrRange }

/** Lets nobody in. What a filter that cannot be read becomes. */
export const denyEverything: RbacFilter = {
  rules: { action: 'ALLOW', policies: [] },
  shadowRules: undefined,
  shadowRulesStatPrefix: '',
}
