import type { DestinationRule, Subset } from '../model/destination-rule.ts'
import { resolveHost } from '../model/host.ts'
import type { ObjectMeta } from '../model/object-meta.ts'
import { checkExportTo } from './export-to.ts'
import { readHost, readLabelName, readLabels } from './names.ts'
import { readTrafficPolicy } from './read-traffic-policy.ts'
import type { Value } from './value.ts'

/** Reads the spec of a DestinationRule. */
export function readDestinationRule(meta: ObjectMeta, spec: Value): DestinationRule {
  const fields = spec.required().fields('host', 'trafficPolicy', 'subsets', 'exportTo', 'workloadSelector')
  checkExportTo(fields.exportTo, meta.namespace)
  const selector = fields.workloadSelector.isAbsent ? undefined : fields.workloadSelector.fields('matchLabels').matchLabels
  return {
    meta,
    host: resolveHost(readHost(fields.host) ?? '', meta.namespace),
    workloadSelector: selector && readLabels(selector),
    trafficPolicy: readTrafficPolicy(fields.trafficPolicy),
    subsets: readSubsets(fields.subsets),
  }
}

function readSubsets(value: Value): readonly Subset[] {
  const names = new Set<string>()
  return value.items().map(item => {
    const fields = item.required().fields('name', 'labels', 'trafficPolicy')
    const name = readLabelName(fields.name.required()) ?? ''
    if (names.has(name) && name !== '') fields.name.error(`${name} is there twice`)
    names.add(name)
    return { name, labels: readLabels(fields.labels), trafficPolicy: readTrafficPolicy(fields.trafficPolicy) }
  })
}
