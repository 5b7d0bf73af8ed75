/** `RouteAction.HashPolicy`, decoded. */
export interface HashPolicy {
  readonly source:
    | {
        readonly kind: 'header'
        readonly name: string
        readonly rewrite: { readonly regex: string; readonly substitution: string } | undefined
      }
    | { readonly kind: 'cookie'; readonly name: string; readonly ttlMs: number | undefined; readonly path: string }
    | { readonly kind: 'source-ip' }
    | { readonly kind: 'query-parameter'; readonly name: string }
    | { readonly kind: 'filter-state'; readonly key: string }
  readonly terminal: boolean
}
