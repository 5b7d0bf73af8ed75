import type { StringMatcher } from './string-matcher.ts'

/** `envoy.config.route.v3.HeaderMatcher`, decoded. Names are lower case; `:method`, `:path`, `:authority` and `:scheme` are pseudo headers. */
export interface HeaderMatcher {
  readonly name: string
  readonly match:
    | { readonly kind: 'string'; readonly matcher: StringMatcher }
    | { readonly kind: 'present'; readonly present: boolean }
    /** Half-open `[start, end)`; the whole value must be a base-10 integer. */
    | { readonly kind: 'range'; readonly start: number; readonly end: number }
  readonly invert: boolean
  readonly treatMissingAsEmpty: boolean
}
