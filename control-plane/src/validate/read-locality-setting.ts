import type { LocalitySetting } from '../model/destination-rule.ts'
import type { Value } from './value.ts'

const topologyLabels: ReadonlySet<string> = new Set([
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'topology.istio.io/subzone',
])

/** Reads `localityLbSetting`. */
export function readLocalitySetting(value: Value, hasOutlierDetection: boolean): LocalitySetting | undefined {
  if (value.isAbsent) return undefined
  const fields = value.fields('distribute', 'failover', 'failoverPriority', 'enabled')
  const distribute = fields.distribute.items().map(item => {
    const { from, to } = item.required().fields('from', 'to')
    return { from: from.required().asString() ?? '', to: readShares(to) }
  })
  checkLocalities(
    distribute.map(({ from }) => from),
    fields.distribute,
  )
  const failover = fields.failover.items().map(readFailover)
  const failoverPriority = fields.failoverPriority.items().map(item => item.asString() ?? '')
  if (distribute.length > 0 && failover.length > 0) value.error('may have only one of distribute and failover')
  const topology = failoverPriority.find(label => topologyLabels.has(label))
  if (failover.length > 0 && topology) fields.failoverPriority.error(`${topology} excludes failover`)
  if ((failover.length > 0 || failoverPriority.length > 0) && !hasOutlierDetection)
    value.warn('has no effect without outlierDetection: nothing would ever count as failed')
  return { distribute, failover, failoverPriority, enabled: fields.enabled.asBoolean() ?? true }
}

function readShares(value: Value): ReadonlyMap<string, number> {
  const shares = new Map<string, number>()
  let total = 0
  for (const [locality, item] of value.entries()) {
    const share = item.asInteger(1, 100) ?? 0
    total += share
    shares.set(locality, share)
  }
  if (total !== 100) value.error(`must add up to 100, got ${total}`)
  checkLocalities([...shares.keys()], value)
  return shares
}

function readFailover(value: Value): LocalitySetting['failover'][number] {
  const fields = value.required().fields('from', 'to')
  const from = fields.from.asString() ?? ''
  const to = fields.to.asString() ?? ''
  if (from === to) value.error('must name two different regions')
  for (const field of [fields.from, fields.to]) {
    if (/[/*]/.test(field.asString() ?? '')) field.error('must be a region, without zone and without *')
  }
  return { from, to }
}

/** Localities are `region/zone/subZone`, the last part perhaps `*`, and none contains another. */
function checkLocalities(localities: readonly string[], value: Value): void {
  const seen: string[][] = []
  for (const locality of localities) {
    const parts = locality.split('/')
    const isWellFormed = parts.length <= 3 && parts.every(part => part !== '') && /^[^*]*\*?$/.test(locality)
    if (!isWellFormed)
      value.error(`${JSON.stringify(locality)} is not a locality region/zone/subZone with at most a * at its end`)
    const fixed = parts.filter(part => part !== '*')
    if (seen.some(other => contains(other, fixed) || contains(fixed, other))) value.error(`${locality} overlaps with another`)
    seen.push(fixed)
  }
}

const contains = (outer: readonly string[], inner: readonly string[]) => outer.every((part, index) => part === inner[index])
