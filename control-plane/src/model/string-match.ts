/** `networking.istio.io` StringMatch. `present` is the empty match and the regular expression `*`. */
export type StringMatch = { readonly kind: 'exact' | 'prefix' | 'regex'; readonly value: string } | { readonly kind: 'present' }
