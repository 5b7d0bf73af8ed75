import { parseDurationMs } from '../duration.ts'
import type { Value } from '../value.ts'

/** A duration of the Gateway API (GEP-2257): `1h30m`, `10s`, `500ms`, in whole milliseconds. 0 is "none". */
export function readGatewayDurationMs(value: Value): number | undefined {
  const text = value.asString()
  if (text === undefined) return undefined
  if (/^([0-9]{1,5}(h|m|s|ms)){1,4}$/.test(text)) return parseDurationMs(text)
  value.error(`must be a duration such as 10s, 500ms or 1h30m, got ${JSON.stringify(text)}`)
  return undefined
}
