/** What a server says of its load (`xds.data.orca.v3.OrcaLoadReport`), as far as balancing and load reports need it. */
export interface LoadReport {
  /** 1 is one machine fully used; may be above. 0 is not known. */
  readonly cpuUtilization: number
  /** 0 to 1. */
  readonly memUtilization: number
  /** What the application itself says of its utilization; 0 is not known. */
  readonly applicationUtilization: number
  /** Requests per second. */
  readonly rps: number
  /** Errors per second. */
  readonly eps: number
  /** Per resource, 0 to 1. */
  readonly utilization: ReadonlyMap<string, number>
  /** Per resource, the cost of this one request. */
  readonly requestCost: ReadonlyMap<string, number>
  readonly namedMetrics: ReadonlyMap<string, number>
}

type Values = { -readonly [Key in 'cpuUtilization' | 'memUtilization' | 'applicationUtilization' | 'rps' | 'eps']: number }
type Maps = { -readonly [Key in 'utilization' | 'requestCost' | 'namedMetrics']: Map<string, number> }
type Draft = Values & Maps

const makeDraft = (): Draft => ({
  cpuUtilization: 0,
  memUtilization: 0,
  applicationUtilization: 0,
  rps: 0,
  eps: 0,
  utilization: new Map(),
  requestCost: new Map(),
  namedMetrics: new Map(),
})

/** By number of the field. */
const doubles: Readonly<Record<number, keyof Values>> = {
  1: 'cpuUtilization',
  2: 'memUtilization',
  6: 'rps',
  7: 'eps',
  9: 'applicationUtilization',
}
const maps: Readonly<Record<number, keyof Maps>> = { 4: 'requestCost', 5: 'utilization', 8: 'namedMetrics' }

/** By the names of `TEXT` and `JSON`; in `TEXT` the keys of maps follow a dot. */
const doubleNames: ReadonlyMap<string, keyof Values> = new Map([
  ['cpu_utilization', 'cpuUtilization'],
  ['mem_utilization', 'memUtilization'],
  ['application_utilization', 'applicationUtilization'],
  ['rps_fractional', 'rps'],
  ['eps', 'eps'],
])
const mapNames: ReadonlyMap<string, keyof Maps> = new Map([
  ['utilization', 'utilization'],
  ['request_cost', 'requestCost'],
  ['named_metrics', 'namedMetrics'],
])

/**
 * Reads the report that came with an answer: `endpoint-load-metrics-bin`, the trailer of gRPC (gRFC A51), else `endpoint-load-metrics` with
 * `TEXT name=value,…`, `JSON {…}` or `BIN <base64>` (Envoy, `orca_parser.cc`). `null`: there is none, or it is broken.
 */
export function loadReportOf(
  header: (name: 'endpoint-load-metrics-bin' | 'endpoint-load-metrics') => string | Uint8Array | undefined,
): LoadReport | null {
  const binary = header('endpoint-load-metrics-bin')
  if (binary !== undefined) return decodeLoadReport(typeof binary === 'string' ? Buffer.from(binary, 'base64') : binary)
  const text = header('endpoint-load-metrics')
  if (typeof text !== 'string') return null
  const space = text.indexOf(' ')
  const value = text.slice(space + 1).trim()
  switch (text.slice(0, space)) {
    case 'TEXT':
      return readText(value)
    case 'JSON':
      return readJson(value)
    case 'BIN':
      return decodeLoadReport(Buffer.from(value, 'base64'))
    default:
      return null
  }
}

/** Decodes an `OrcaLoadReport`; `null` when the bytes are none. What is not a number of at least 0 is not known. */
export function decodeLoadReport(bytes: Uint8Array): LoadReport | null {
  const draft = makeDraft()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const end = readFields(view, 0, view.byteLength, (field, wireType, at, length) => {
    const name = doubles[field]
    if (name !== undefined && wireType === 1) draft[name] = known(view.getFloat64(at, true))
    const map = maps[field]
    if (map === undefined || wireType !== 2) return
    let [key, value] = ['', 0]
    readFields(view, at, at + length, (part, type, start, size) => {
      if (part === 1 && type === 2) key = Buffer.from(bytes.buffer, bytes.byteOffset + start, size).toString()
      else if (part === 2 && type === 1) value = view.getFloat64(start, true)
    })
    draft[map].set(key, known(value))
  })
  return end ? draft : null
}

/** Visits the fields of a message. Returns whether it is well formed. */
function readFields(
  view: DataView,
  from: number,
  to: number,
  visit: (field: number, wireType: number, at: number, length: number) => void,
): boolean {
  let at = from
  const varint = (): number => {
    let value = 0
    for (let factor = 1; at < to && factor < 2 ** 70; factor *= 128) {
      const byte = view.getUint8(at++)
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
    return Number.NaN
  }
  while (at < to) {
    const tag = varint()
    const wireType = tag % 8
    let length = wireType === 1 ? 8 : wireType === 5 ? 4 : 0
    if (wireType === 2) length = varint()
    else if (wireType === 0) varint()
    else if (length === 0) return false
    if (!(at + length <= to)) return false
    visit(Math.floor(tag / 8), wireType, at, length)
    at += length
  }
  return true
}

function readText(text: string): LoadReport | null {
  const draft = makeDraft()
  for (const entry of text.split(',')) {
    const equals = entry.indexOf('=')
    if (equals < 0) return null
    const value = Number(entry.slice(equals + 1).trim())
    if (Number.isNaN(value)) return null
    const name = entry.slice(0, equals).trim()
    const dot = name.indexOf('.')
    const map = dot < 0 ? undefined : mapNames.get(name.slice(0, dot))
    const double = doubleNames.get(name)
    if (map !== undefined) draft[map].set(name.slice(dot + 1), known(value))
    else if (double !== undefined) draft[double] = known(value)
    else return null
  }
  return draft
}

function readJson(text: string): LoadReport | null {
  const draft = makeDraft()
  let read: unknown
  try {
    read = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof read !== 'object' || read === null) return null
  for (const [key, value] of Object.entries(read)) {
    const name = key.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
    const double = doubleNames.get(name)
    const map = mapNames.get(name)
    if (double !== undefined) draft[double] = known(Number(value))
    else if (map !== undefined && typeof value === 'object' && value !== null)
      for (const [entry, each] of Object.entries(value)) draft[map].set(entry, known(Number(each)))
  }
  return draft
}

function known(value: number): number {
  return value >= 0 && value < Number.POSITIVE_INFINITY ? value : 0
}
