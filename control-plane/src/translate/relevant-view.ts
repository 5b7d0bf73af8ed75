import type { MeshRouting } from '../model/mesh-model.ts'
import type { View } from './view.ts'

const nowhere = { region: '', zone: '', subZone: '' }

/** A view reduced to what makes a difference in this mesh, so that clients that differ in nothing else share one translation. */
export function relevantView(routing: MeshRouting, view: View): View {
  const { labels: names, locality } = distinctions(routing)
  const labels = Object.entries(view.labels).filter(([name]) => names.has(name))
  return { ...view, labels: Object.fromEntries(labels), locality: locality ? view.locality : nowhere }
}

interface Distinctions {
  /** Labels of callers that rules ask for. */
  readonly labels: ReadonlySet<string>
  /** Whether the locality of the caller matters anywhere. */
  readonly locality: boolean
}

const known = new WeakMap<MeshRouting, Distinctions>()

function distinctions(routing: MeshRouting): Distinctions {
  let found = known.get(routing)
  if (!found) {
    found = { labels: new Set(labelNames(routing)), locality: localityMatters(routing) }
    known.set(routing, found)
  }
  return found
}

function* labelNames({
  virtualServices,
  destinationRules,
  peerAuthentications,
  authorizationPolicies,
  requestAuthentications,
}: MeshRouting): Generator<string> {
  for (const { http } of virtualServices) {
    for (const { sourceLabels } of http.flatMap(({ matches }) => matches)) yield* Object.keys(sourceLabels)
  }
  for (const { selector } of [...peerAuthentications, ...authorizationPolicies, ...requestAuthentications])
    yield* Object.keys(selector)
  for (const { workloadSelector, trafficPolicy, subsets } of destinationRules) {
    yield* Object.keys(workloadSelector ?? {})
    for (const policy of [trafficPolicy, ...subsets.map(subset => subset.trafficPolicy)]) {
      for (const { loadBalancer } of policy ? [policy, ...policy.ports.values()] : []) {
        for (const label of loadBalancer?.locality?.failoverPriority ?? []) yield label.split('=')[0] ?? ''
      }
    }
  }
}

function localityMatters({ destinationRules }: MeshRouting): boolean {
  const policies = destinationRules.flatMap(({ trafficPolicy, subsets }) => [
    trafficPolicy,
    ...subsets.map(each => each.trafficPolicy),
  ])
  return policies
    .flatMap(policy => (policy ? [policy, ...policy.ports.values()] : []))
    .some(({ outlierDetection, loadBalancer }) => outlierDetection !== undefined || loadBalancer?.locality !== undefined)
}
