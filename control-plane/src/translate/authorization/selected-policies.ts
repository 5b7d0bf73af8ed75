import { selects } from '../../model/mesh-service.ts'
import { compareAge, type ObjectMeta } from '../../model/object-meta.ts'

/** Whom policies are for. */
export interface PolicyTarget {
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
}

/** What a mesh agrees on (Istio's MeshConfig). */
export interface PolicyScope {
  /** Namespace whose policies are for the whole mesh. Default `istio-system`. */
  readonly rootNamespace?: string
  /** Default `cluster.local`. */
  readonly trustDomain?: string
  /** Former trust domains, whose workloads count as of this one. Default none. */
  readonly trustDomainAliases?: readonly string[]
}

/** As Istio has it. */
export const defaultRootNamespace = 'istio-system'

interface Policy {
  readonly meta: ObjectMeta
  readonly selector: Readonly<Record<string, string>>
}

/** The policies of the workload's namespace and of the root namespace that select it, oldest first. */
export function selectedPolicies<Selecting extends Policy>(
  { namespace, labels }: PolicyTarget,
  policies: readonly Selecting[],
  rootNamespace: string,
): readonly Selecting[] {
  return policies
    .filter(({ meta, selector }) => [namespace, rootNamespace].includes(meta.namespace) && selects(selector, labels))
    .sort((a, b) => compareAge(a.meta, b.meta))
}
