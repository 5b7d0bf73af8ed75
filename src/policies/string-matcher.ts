/** `envoy.type.matcher.v3.StringMatcher`, decoded. `regex` is RE2 and must match the whole string. */
export type StringMatcher =
  | { readonly kind: 'exact' | 'prefix' | 'suffix' | 'contains'; readonly value: string; readonly ignoreCase: boolean }
  | { readonly kind: 'regex'; readonly regex: string }
