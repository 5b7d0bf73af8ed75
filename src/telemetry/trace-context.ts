/** Where in which trace a process is: what `traceparent` says (W3C Trace Context Level 2, section 3.2). */
export interface TraceContext {
  /** 32 lower-case hexadecimal digits. */
  readonly traceId: string
  /** 16 lower-case hexadecimal digits. */
  readonly spanId: string
  readonly sampled: boolean
}

const format = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/**
 * Reads a `traceparent` header. A version above 00 is read as far as 00 goes.
 *
 * @returns `null` when it is absent, comes more than once, or is not one: a new trace begins
 */
export function parseTraceparent(header: string | readonly string[] | undefined): TraceContext | null {
  if (typeof header !== 'string') return null
  const match = format.exec(header)
  const [, version = '', traceId = '', spanId = '', flags = '', rest] = match ?? []
  if (match === null || version === 'ff' || (version === '00' && rest !== undefined)) return null
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

/** Writes version 00. */
export function formatTraceparent(traceId: string, spanId: string, sampled: boolean): string {
  return sampled ? `00-${traceId}-${spanId}-01` : `00-${traceId}-${spanId}-00`
}

/** The values of a header that may come more than once, as one list. */
export function joinHeader(header: string | readonly string[] | undefined): string {
  if (header === undefined) return ''
  return typeof header === 'string' ? header : header.join(',')
}
