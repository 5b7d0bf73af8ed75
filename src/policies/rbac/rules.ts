import type { HeaderMatcher } from '../header-matcher.ts'
import type { StringMatcher } from '../string-matcher.ts'

/** `envoy.config.rbac.v3.RBAC`, decoded. */
export interface RbacRules {
  /** `log` lets everything pass. */
  readonly action: 'allow' | 'deny' | 'log'
  readonly policies: readonly RbacPolicy[]
}

/** Matches when one of its permissions and one of its principals do. */
export interface RbacPolicy {
  readonly name: string
  readonly permissions: readonly RbacRule[]
  readonly principals: readonly RbacRule[]
}

/** A permission or a principal. */
export type RbacRule =
  | { readonly kind: 'any' }
  | { readonly kind: 'and' | 'or'; readonly rules: readonly RbacRule[] }
  | { readonly kind: 'not'; readonly rule: RbacRule }
  | { readonly kind: 'header'; readonly header: HeaderMatcher }
  /** Without query. */
  | { readonly kind: 'path'; readonly matcher: StringMatcher }
  | { readonly kind: 'path-template'; readonly template: string }
  | { readonly kind: 'destination-ip' | 'source-ip'; readonly address: string; readonly prefixLength: number }
  /** Half-open. */
  | { readonly kind: 'destination-port'; readonly start: number; readonly end: number }
  | { readonly kind: 'server-name'; readonly matcher: StringMatcher }
  /** `undefined`: anybody whose certificate was verified. */
  | { readonly kind: 'authenticated'; readonly name: StringMatcher | undefined }
  | { readonly kind: 'metadata'; readonly filter: string; readonly path: readonly string[]; readonly value: ValueMatch }

/** `envoy.type.matcher.v3.ValueMatcher`, decoded. */
export type ValueMatch =
  | { readonly kind: 'null' }
  | { readonly kind: 'number'; readonly start: number; readonly end: number }
  | { readonly kind: 'string'; readonly matcher: StringMatcher }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'present'; readonly present: boolean }
  | { readonly kind: 'one-of'; readonly value: ValueMatch }
  | { readonly kind: 'or'; readonly values: readonly ValueMatch[] }

/** The filter `envoy.filters.http.rbac`, or what a route has in its place. */
export interface RbacFilter {
  /** `undefined`: everything passes. */
  readonly rules: RbacRules | undefined
  /** Tried and told of, and nothing more. */
  readonly shadowRules: RbacRules | undefined
}
