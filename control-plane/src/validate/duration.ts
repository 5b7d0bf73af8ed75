import type { Value } from './value.ts'

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

/** Longest duration of `google.protobuf.Duration`, rounded down to what Go can hold. */
const maximumMs = 9_223_372_036_854

/** `1h30m`, `1.5s`, `10ms` in milliseconds; `undefined` when the text is no Go duration. */
export function parseDurationMs(text: string): number | undefined {
  if (!/^[-+]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))*$/.test(text)) {
    return /^[-+]?0$/.test(text) ? 0 : undefined
  }
  let total = 0
  for (const [, amount = '', unit = ''] of text.matchAll(/([\d.]+)([a-zµμ]+)/g)) total += Number(amount) * (unitMs[unit] ?? 0)
  // Sums of decimal fractions are off by less than a nanosecond.
  total = Math.round(total * 1e6) / 1e6
  return text.startsWith('-') ? -total : total
}

/** A duration of at least 1 ms and no finer, as Istio has all of them. */
export function readDurationMs(value: Value): number | undefined {
  const ms = readAnyDurationMs(value)
  if (ms === undefined) return undefined
  if (ms < 1) value.error(`must be at least 1ms, got ${value.asString()}`)
  else if (!Number.isInteger(ms)) value.error(`must be whole milliseconds, got ${value.asString()}`)
  else return ms
  return undefined
}

/** A duration that may be 0, and no finer than a millisecond. */
export function readDurationOrZeroMs(value: Value): number | undefined {
  const ms = readAnyDurationMs(value)
  if (ms === undefined) return undefined
  if (ms >= 0 && ms < 1) return 0
  return readDurationMs(value)
}

function readAnyDurationMs(value: Value): number | undefined {
  const text = value.asString()
  if (text === undefined) return undefined
  const ms = parseDurationMs(text)
  if (ms === undefined) value.error(`must be a duration such as 1.5s, 100ms or 1h, got ${JSON.stringify(text)}`)
  else if (Math.abs(ms) > maximumMs) value.error(`is too long: ${text}`)
  else return ms
  return undefined
}
