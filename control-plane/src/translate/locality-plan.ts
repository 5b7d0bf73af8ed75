import type { LocalitySetting } from '../model/destination-rule.ts'
import type { MeshEndpoint, MeshLocality } from '../model/mesh-service.ts'

/** The endpoints of one locality, or of one priority in it. */
export interface LocalityGroup {
  readonly locality: MeshLocality
  readonly endpoints: readonly MeshEndpoint[]
  readonly priority: number
  readonly weight: number
}

/** What a caller prefers. */
export interface LocalityPlan {
  /** Of the caller. */
  readonly locality: MeshLocality
  readonly labels: Readonly<Record<string, string>>
  readonly setting: LocalitySetting | undefined
  /** Whether endpoints can be found failing, without which nothing fails over. */
  readonly hasOutlierDetection: boolean
}

/**
 * Shares out weights and priorities as Istio does: `distribute` gives shares; otherwise, with outlier detection, nearer localities come
 * first, even where no rule speaks of localities.
 */
export function planLocalities(groups: readonly LocalityGroup[], plan: LocalityPlan | undefined): readonly LocalityGroup[] {
  const setting = plan?.setting
  if (!plan || setting?.enabled === false) return groups
  if (setting && setting.distribute.length > 0) return distribute(groups, plan.locality, setting)
  if (!plan.hasOutlierDetection) return groups
  if (!setting || setting.failoverPriority.length === 0) return failover(groups, plan.locality, setting?.failover ?? [])
  const byLabels = failoverByLabels(groups, plan.labels, setting.failoverPriority)
  return setting.failover.length > 0 ? failover(byLabels, plan.locality, setting.failover) : byLabels
}

/** A share is split by weight among the localities it names; a locality without share gets nothing. */
function distribute(groups: readonly LocalityGroup[], caller: MeshLocality, setting: LocalitySetting): readonly LocalityGroup[] {
  const rule = setting.distribute.find(({ from }) => localityMatches(caller, from))
  if (!rule) return groups
  const shared: LocalityGroup[] = []
  const left = new Set(groups)
  for (const [pattern, share] of rule.to) {
    const named = [...left].filter(({ locality }) => localityMatches(locality, pattern))
    const total = named.reduce((sum, { weight }) => sum + weight, 0)
    for (const group of named) {
      left.delete(group)
      shared.push({ ...group, weight: Math.ceil((group.weight * share) / total) })
    }
  }
  return groups.flatMap(({ locality }) => shared.find(group => group.locality === locality) ?? [])
}

/** 0 for the same sub-zone, 1 zone, 2 region, 3 elsewhere, 4 where `failover` sends the region to another one. */
function failover(
  groups: readonly LocalityGroup[],
  caller: MeshLocality,
  rules: LocalitySetting['failover'],
): readonly LocalityGroup[] {
  const target = rules.find(({ from }) => from === caller.region)?.to
  return withoutGaps(
    groups.map(group => {
      const distance = localityDistance(caller, group.locality)
      const away = distance === 3 && target !== undefined && group.locality.region !== target ? 4 : distance
      return { ...group, priority: group.priority * 5 + away }
    }),
  )
}

/** The more of the labels, in order, an endpoint has in common with the caller, the better. */
function failoverByLabels(
  groups: readonly LocalityGroup[],
  labels: Readonly<Record<string, string>>,
  priorities: LocalitySetting['failoverPriority'],
): readonly LocalityGroup[] {
  if (Object.keys(labels).length === 0) return groups
  const split: LocalityGroup[] = []
  for (const group of groups) {
    const byPriority = new Map<number, MeshEndpoint[]>()
    for (const endpoint of group.endpoints) {
      const priority = labelPriority(priorities, labels, endpoint)
      byPriority.set(priority, [...(byPriority.get(priority) ?? []), endpoint])
    }
    for (const [priority, endpoints] of [...byPriority].sort(([a], [b]) => a - b)) {
      const weight = endpoints.reduce((sum, endpoint) => sum + endpoint.weight, 0)
      split.push({ locality: group.locality, endpoints, priority, weight })
    }
  }
  return withoutGaps(split)
}

/** Another network, where it comes first, puts endpoints behind all others, and in the same order among themselves. */
function labelPriority(
  priorities: LocalitySetting['failoverPriority'],
  labels: Readonly<Record<string, string>>,
  endpoint: MeshEndpoint,
): number {
  const isLost = (each: string) => !sharesLabel(each, labels, endpoint)
  const [first = ''] = priorities
  const isAway = first === 'topology.istio.io/network' && isLost(first)
  const lost = priorities.findIndex((each, index) => !(isAway && index === 0) && isLost(each))
  return (lost < 0 ? 0 : priorities.length - lost) + (isAway ? priorities.length : 0)
}

function sharesLabel(priority: string, labels: Readonly<Record<string, string>>, endpoint: MeshEndpoint): boolean {
  const [label = '', value] = priority.split('=')
  return (value ?? labels[label] ?? '') === (endpoint.labels[label] ?? '')
}

/** Priorities must follow each other. */
function withoutGaps(groups: readonly LocalityGroup[]): readonly LocalityGroup[] {
  const used = [...new Set(groups.map(({ priority }) => priority))].sort((a, b) => a - b)
  return groups.map(group => ({ ...group, priority: used.indexOf(group.priority) }))
}

function localityDistance(a: MeshLocality, b: MeshLocality): 0 | 1 | 2 | 3 {
  if (a.region !== b.region) return 3
  if (a.zone !== b.zone) return 2
  return a.subZone === b.subZone ? 0 : 1
}

/** Whether a locality is within `region/zone/subZone`, of which the last given part may be `*`. */
function localityMatches({ region, zone, subZone }: MeshLocality, pattern: string): boolean {
  const parts = [region, zone, subZone]
  return pattern.split('/').every((part, index) => part === '*' || part === parts[index])
}
