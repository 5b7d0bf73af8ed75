import type { Baggage, BaggageEntry } from '@opentelemetry/api'
import { baggageEntryMetadataFromString, propagation } from './opentelemetry.ts'

/** Bytes of a baggage header that are carried on (W3C Baggage section 3.3.2). */
export const maxBaggageBytes = 8192

/** Reads a `baggage` header for code that asks OpenTelemetry for it; what is no entry is left out. */
export function parseBaggage(header: string): Baggage | undefined {
  if (header === '') return undefined
  const entries: Record<string, BaggageEntry> = {}
  for (const member of header.split(',')) {
    const [pair = '', ...metadata] = member.split(';')
    const equals = pair.indexOf('=')
    const key = pair.slice(0, equals).trim()
    if (equals < 1 || key === '' || key === '__proto__') continue
    const value = decode(pair.slice(equals + 1).trim())
    entries[key] =
      metadata.length === 0 ? { value } : { value, metadata: baggageEntryMetadataFromString(metadata.join(';').trim()) }
  }
  return propagation.createBaggage(entries)
}

/** Writes a `baggage` header; entries for which there is no more room are left out. */
export function formatBaggage(baggage: Baggage): string {
  let header = ''
  for (const [key, { value, metadata }] of baggage.getAllEntries()) {
    const entry = `${encodeURIComponent(key)}=${encodeURIComponent(value)}`
    const member = metadata === undefined ? entry : `${entry};${metadata.toString()}`
    if (header.length + member.length + 1 > maxBaggageBytes) continue
    header += header === '' ? member : `,${member}`
  }
  return header
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
