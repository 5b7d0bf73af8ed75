import type { DestinationRule, PortPolicy, RetryBudget, Subset, TrafficPolicy } from '../model/destination-rule.ts'
import { closestMatch } from '../model/host.ts'
import type { MeshRouting } from '../model/mesh-model.ts'
import { selects } from '../model/mesh-service.ts'
import type { View } from './view.ts'

/** Istio's root namespace: rules in it hold for everybody who has none nearer. */
const rootNamespace = 'istio-system'

/** What holds for one host, from every DestinationRule on it. */
export interface HostPolicy {
  readonly trafficPolicy: TrafficPolicy | undefined
  readonly subsets: readonly Subset[]
}

/** What holds for one cluster. */
export interface ClusterPolicy extends PortPolicy {
  readonly retryBudget: RetryBudget | undefined
}

const none: HostPolicy = { trafficPolicy: undefined, subsets: [] }
const nothing: ClusterPolicy = {
  connectionPool: undefined,
  loadBalancer: undefined,
  outlierDetection: undefined,
  tls: undefined,
  retryBudget: undefined,
}

/**
 * Finds the DestinationRules that a view obeys: those of the caller's namespace, else of the service's, else of the root. One that selects
 * callers by labels is for those of its own namespace.
 */
export class TrafficPolicies {
  readonly #routing: MeshRouting
  readonly #view: View
  readonly #rules: readonly DestinationRule[]
  readonly #found = new Map<string, HostPolicy>()

  constructor(routing: MeshRouting, view: View) {
    this.#routing = routing
    this.#view = view
    this.#rules = routing.destinationRules.filter(
      ({ meta, workloadSelector }) =>
        !workloadSelector || (meta.namespace === view.namespace && selects(workloadSelector, view.labels)),
    )
  }

  ofHost(host: string): HostPolicy {
    let found = this.#found.get(host)
    if (!found) {
      found = this.#find(host)
      this.#found.set(host, found)
    }
    return found
  }

  /**
   * What holds for a cluster. Settings of a port replace those of the rule, all of them; settings of a subset replace them one by
   * one; settings of a port of a subset replace everything before. A port has no retry budget of its own: it has none where its settings
   * replace those of the rule, and that of the rule where they replace those of a subset. As Istio does it.
   */
  ofCluster(host: string, subset: string, port: number): ClusterPolicy {
    const { trafficPolicy, subsets } = this.ofHost(host)
    const ofPort = trafficPolicy?.ports.get(port)
    const base = ofPort ? { ...ofPort, retryBudget: undefined } : (trafficPolicy ?? nothing)
    const own = subset === '' ? undefined : subsets.find(({ name }) => name === subset)?.trafficPolicy
    if (!own) return pick(base)
    const ownPort = own.ports.get(port)
    if (ownPort) return pick({ ...ownPort, retryBudget: base.retryBudget })
    return {
      connectionPool: own.connectionPool ?? base.connectionPool,
      loadBalancer: own.loadBalancer ?? base.loadBalancer,
      outlierDetection: own.outlierDetection ?? base.outlierDetection,
      tls: own.tls ?? base.tls,
      retryBudget: own.retryBudget ?? base.retryBudget,
    }
  }

  #find(host: string): HostPolicy {
    const { namespace: own } = this.#view
    const owner = this.#routing.services.get(host)?.namespace ?? own
    // Whoever calls from the root namespace has no nearer rules there: those are everybody's.
    for (const namespace of new Set([...(own === rootNamespace ? [] : [own]), owner, rootNamespace])) {
      const candidates = this.#rules.filter(({ meta }) => meta.namespace === namespace)
      const pattern = closestMatch(
        candidates.map(rule => [rule.host, rule.host] as const),
        host,
      )
      if (pattern !== undefined) return merge(candidates.filter(rule => rule.host === pattern))
    }
    return none
  }
}

/** One selected by labels comes first, then age. Subsets add up; of the traffic policies the first counts, whole. */
function merge(rules: readonly DestinationRule[]): HostPolicy {
  const ordered = [...rules.filter(({ workloadSelector }) => workloadSelector), ...rules.filter(rule => !rule.workloadSelector)]
  const subsets = new Map<string, Subset>()
  for (const subset of ordered.flatMap(rule => rule.subsets)) if (!subsets.has(subset.name)) subsets.set(subset.name, subset)
  return {
    trafficPolicy: ordered.find(({ trafficPolicy }) => trafficPolicy)?.trafficPolicy,
    subsets: [...subsets.values()],
  }
}

const pick = ({ connectionPool, loadBalancer, outlierDetection, tls, retryBudget }: ClusterPolicy): ClusterPolicy => ({
  connectionPool,
  loadBalancer,
  outlierDetection,
  tls,
  retryBudget,
})
