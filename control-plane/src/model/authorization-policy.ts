import { selects } from './mesh-service.ts'
import type { ObjectMeta } from './object-meta.ts'
import { rootNamespace, type WorkloadKey } from './peer-authentication.ts'

/** `security.istio.io` AuthorizationPolicy. */
export interface AuthorizationPolicy {
  readonly meta: ObjectMeta
  /** `undefined`: every workload of the namespace; in the root namespace, of the mesh. */
  readonly selector: Readonly<Record<string, string>> | undefined
  readonly action: 'ALLOW' | 'DENY' | 'AUDIT'
  /** Any of them; none matches nothing. */
  readonly rules: readonly AuthorizationRule[]
  /** It is tried and told of, and not enforced. */
  readonly isDryRun: boolean
}

/** Any source, any operation, and all conditions. */
export interface AuthorizationRule {
  /** Each is a list of conditions of which all must hold; no list: anybody. */
  readonly from: readonly (readonly Condition[])[]
  readonly to: readonly (readonly Condition[])[]
  readonly when: readonly Condition[]
}

/** One of `values`, where there are any, and none of `notValues`. */
export interface Condition {
  readonly attribute: Attribute
  readonly values: readonly string[]
  readonly notValues: readonly string[]
}

/** What a condition is about. */
export type Attribute =
  | { readonly kind: SourceAttribute | OperationAttribute }
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'claim'; readonly path: readonly string[] }

/** Of the caller. */
export type SourceAttribute =
  | 'principal'
  | 'namespace'
  | 'service-account'
  | 'ip'
  | 'request-principal'
  | 'audience'
  | 'presenter'

/** Of what is called. */
export type OperationAttribute = 'host' | 'port' | 'method' | 'path' | 'destination-ip' | 'sni'

/** The policies that hold for a workload. */
export function policiesFor<Policy extends Pick<AuthorizationPolicy, 'meta' | 'selector'>>(
  policies: readonly Policy[],
  { namespace, labels }: WorkloadKey,
): readonly Policy[] {
  return policies.filter(
    ({ meta, selector }) =>
      (meta.namespace === namespace || meta.namespace === rootNamespace) && (selector === undefined || selects(selector, labels)),
  )
}
