import type { StringMatcher } from './string-matcher.ts'

/** `envoy.config.route.v3.QueryParameterMatcher`, decoded. Only the first value of a repeated key counts; values are compared undecoded. */
export interface QueryParameterMatcher {
  readonly name: string
  readonly match:
    | { readonly kind: 'string'; readonly matcher: StringMatcher }
    | { readonly kind: 'present'; readonly present: boolean }
}
