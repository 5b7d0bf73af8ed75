/** `networking.istio.io` StringMatch. `present` is the empty match and the regular expression `*`. */
export type StringMatch = { readonly kind: 'exact' | 'prefix' | 'regex'; readonly value: string } | { readonly kind: 'present' }

/** Of a path. `path-prefix` is a prefix of whole segments, and has no `/` at its end unless it is nothing else. */
export type PathMatch = StringMatch | { readonly kind: 'path-prefix'; readonly value: string }
