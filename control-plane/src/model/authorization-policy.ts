import type { ObjectMeta } from './object-meta.ts'

/** `security.istio.io` AuthorizationPolicy. */
export interface AuthorizationPolicy {
  readonly meta: ObjectMeta
  /** Labels that a workload must have; none for all of the namespace, or of the mesh in the root namespace. */
  readonly selector: Readonly<Record<string, string>>
  readonly action: AuthorizationAction
  /** Of the action CUSTOM, else empty. */
  readonly provider: string
  /** Evaluated and not enforced: annotation `istio.io/dry-run`. */
  readonly isDryRun: boolean
  /** Any of them; without one, nothing matches. */
  readonly rules: readonly AuthorizationRule[]
}

export type AuthorizationAction = 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM'

/** One source and one operation, and all conditions. An empty rule matches everything. */
export interface AuthorizationRule {
  readonly from: readonly AuthorizationSource[]
  readonly to: readonly AuthorizationOperation[]
  readonly when: readonly AuthorizationCondition[]
}

/** One of `values`, where there are any, and none of `notValues`. */
export interface WantedValues {
  readonly values: readonly string[]
  readonly notValues: readonly string[]
}

/** Who calls; all of it must match. */
export interface AuthorizationSource {
  /** `<trust domain>/ns/<namespace>/sa/<service account>`. */
  readonly principals: WantedValues
  /** `<issuer>/<subject>` of a token. */
  readonly requestPrincipals: WantedValues
  readonly namespaces: WantedValues
  /** `<service account>` of the policy's namespace, or `<namespace>/<service account>`. */
  readonly serviceAccounts: WantedValues
  readonly trustDomains: WantedValues
  /** Of the connection. */
  readonly ipBlocks: WantedValues
  /** Of the first caller, as trusted hops tell it. */
  readonly remoteIpBlocks: WantedValues
}

/** What is called; all of it must match. */
export interface AuthorizationOperation {
  readonly hosts: WantedValues
  readonly ports: WantedValues
  readonly methods: WantedValues
  /** Without query; `{*}` is one segment, `{**}` any number. */
  readonly paths: WantedValues
}

export interface AuthorizationCondition extends WantedValues {
  /** Such as `request.headers[x-role]`. */
  readonly key: string
}
