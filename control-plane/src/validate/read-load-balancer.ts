import type { ConsistentHash, HashKey, LoadBalancer, LocalitySetting } from '../model/destination-rule.ts'
import { readDurationMs, readDurationOrZeroMs } from './duration.ts'
import { readLocalitySetting } from './read-locality-setting.ts'
import type { Value } from './value.ts'

/** The largest Maglev table, exclusive. */
const maxTableSize = 5_000_011

/** Reads `loadBalancer`. */
export function readLoadBalancer(value: Value, hasOutlierDetection: boolean): LoadBalancer | undefined {
  if (value.isAbsent) return undefined
  const fields = value.fields(
    'simple',
    'consistentHash',
    'localityLbSetting',
    'zoneAwareLbSetting',
    'warmup',
    'warmupDurationSecs',
  )
  const simple = fields.simple.asOneOf(['UNSPECIFIED', 'LEAST_CONN', 'RANDOM', 'PASSTHROUGH', 'ROUND_ROBIN', 'LEAST_REQUEST'])
  if (!fields.simple.isAbsent && !fields.consistentHash.isAbsent) value.error('may have only one of simple and consistentHash')
  if (simple === 'PASSTHROUGH') fields.simple.error('PASSTHROUGH is not supported: the mesh picks the endpoint')
  if (!fields.zoneAwareLbSetting.isAbsent)
    fields.zoneAwareLbSetting.error('is not supported; localityLbSetting prefers the same zone too')
  const locality: LocalitySetting | undefined = readLocalitySetting(fields.localityLbSetting, hasOutlierDetection)
  return {
    policy: fields.consistentHash.isAbsent ? simplePolicy(simple) : readConsistentHash(fields.consistentHash),
    locality,
    warmup: readWarmup(fields.warmup, fields.warmupDurationSecs),
  }
}

function simplePolicy(simple: string | undefined): 'round-robin' | 'least-request' | 'random' {
  if (simple === 'ROUND_ROBIN') return 'round-robin'
  return simple === 'RANDOM' ? 'random' : 'least-request'
}

function readWarmup(value: Value, oldDuration: Value): LoadBalancer['warmup'] {
  const oldMs = readDurationMs(oldDuration)
  if (value.isAbsent)
    return oldMs === undefined ? undefined : { durationMs: oldMs, minimumPercent: undefined, aggression: undefined }
  const { duration, minimumPercent, aggression } = value.fields('duration', 'minimumPercent', 'aggression')
  const steepness = aggression.asNumber(0, Number.MAX_VALUE)
  if (steepness === 0) aggression.error('must be above 0')
  const durationMs = readDurationMs(duration.required())
  const percent = minimumPercent.asNumber(0, 100)
  return durationMs === undefined ? undefined : { durationMs, minimumPercent: percent, aggression: steepness }
}

function readConsistentHash(value: Value): ConsistentHash {
  const fields = value.fields(
    'httpHeaderName',
    'httpCookie',
    'useSourceIp',
    'httpQueryParameterName',
    'ringHash',
    'maglev',
    'minimumRingSize',
  )
  const keys = [fields.httpHeaderName, fields.httpCookie, fields.useSourceIp, fields.httpQueryParameterName]
  if (keys.filter(each => !each.isAbsent).length > 1)
    value.error('may have only one of httpHeaderName, httpCookie, useSourceIp and httpQueryParameterName')
  const { ringHash, maglev, minimumRingSize } = fields
  if (!ringHash.isAbsent && !maglev.isAbsent) value.error('may have only one of ringHash and maglev')
  const oldSize = minimumRingSize.asInteger(0, Number.MAX_SAFE_INTEGER)
  if (oldSize) {
    minimumRingSize.warn('is deprecated; use ringHash.minimumRingSize')
    if (!ringHash.isAbsent || !maglev.isAbsent) minimumRingSize.error('excludes ringHash and maglev')
  }
  const ringSize = ringHash.fields('minimumRingSize').minimumRingSize
  const table: ConsistentHash['table'] = maglev.isAbsent
    ? { kind: 'ring', minimumSize: ringSize.asInteger(0, 8_388_608) || oldSize || undefined }
    : { kind: 'maglev', size: readTableSize(maglev) }
  return { key: readHashKey(fields), table }
}

function readTableSize(value: Value): number {
  const { tableSize } = value.fields('tableSize')
  const size = tableSize.required().asInteger(0, Number.MAX_SAFE_INTEGER) ?? 0
  if (size >= maxTableSize) tableSize.error(`must be below ${maxTableSize}, got ${size}`)
  else if (!tableSize.isAbsent && !isPrime(size)) tableSize.error(`must be a prime number, got ${size}`)
  return size
}

function isPrime(value: number): boolean {
  if (value < 2) return false
  for (let factor = 2; factor * factor <= value; factor++) if (value % factor === 0) return false
  return true
}

function readHashKey(
  fields: Readonly<Record<'httpHeaderName' | 'httpCookie' | 'useSourceIp' | 'httpQueryParameterName', Value>>,
): HashKey | undefined {
  const header = fields.httpHeaderName.asString()
  const parameter = fields.httpQueryParameterName.asString()
  const useSourceIp = fields.useSourceIp.asBoolean() ?? false
  if (header === '') fields.httpHeaderName.error('must not be empty')
  if (parameter === '') fields.httpQueryParameterName.error('must not be empty')
  if (header) return { kind: 'header', name: header }
  if (parameter) return { kind: 'query-parameter', name: parameter }
  if (!fields.httpCookie.isAbsent) return readCookie(fields.httpCookie)
  return useSourceIp ? { kind: 'source-ip' } : undefined
}

function readCookie(value: Value): HashKey {
  const { name, path, ttl, attributes } = value.fields('name', 'path', 'ttl', 'attributes')
  const text = name.required().asString() ?? ''
  if (text === '' && !name.isAbsent) name.error('must not be empty')
  const names = new Set<string>()
  for (const item of attributes.items()) {
    const attribute = item.required().fields('name', 'value')
    const attributeName = attribute.name.required().asString() ?? ''
    if (attributeName === '' && !attribute.name.isAbsent) attribute.name.error('must not be empty')
    if (names.has(attributeName) && attributeName !== '') attribute.name.error(`${attributeName} is there twice`)
    names.add(attributeName)
  }
  if (names.size > 0) attributes.warn('has no effect')
  return { kind: 'cookie', name: text, path: path.asString() ?? '', ttlMs: readDurationOrZeroMs(ttl) }
}
