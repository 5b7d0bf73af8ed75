import type { IncomingHttpHeaders } from 'node:http'
import type { VerifiedPeer } from './verified-peer.ts'

/** Names and values in turn, as Node keeps those that came. */
export type RawHeaders = string[]

const forwardedClientCert = 'x-forwarded-client-cert'

/** Of what starts with `x-envoy-`, these tell and steer nothing but the deadline, which they can only shorten. */
const informative: ReadonlySet<string> = new Set(['x-envoy-expected-rq-timeout-ms', 'x-envoy-attempt-count'])

/** Headers that only the mesh itself sets, in lower case; a peer's are dropped. */
function isReserved(name: string): boolean {
  return (
    name === forwardedClientCert ||
    (name.startsWith('x-envoy-') && !informative.has(name)) ||
    name.startsWith('x-mesh-') ||
    name.startsWith('x-spiffe-')
  )
}

/**
 * Takes out what a peer may not tell (`x-forwarded-client-cert`, `x-envoy-*`, `x-mesh-*`, `x-spiffe-*`), and sets `x-forwarded-client-cert`
 * from its certificate. Both forms of the headers are changed in place.
 */
export function cleanHeaders(raw: RawHeaders, headers: IncomingHttpHeaders, peer: VerifiedPeer | null): void {
  let isDirty = false
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? ''
    if (mayBeReserved(name)) isDirty = isReserved(lowerCase(name))
    else if (name.length === connection.length && lowerCase(name) === connection) isDirty = namesReserved(raw[at + 1] ?? '')
    if (isDirty) break
  }
  if (isDirty) dropReserved(raw, headers)
  if (peer === null) return
  raw.push(forwardedClientCert, peer.forwardedClientCert)
  headers[forwardedClientCert] = peer.forwardedClientCert
}

const connection = 'connection'

/** All that are reserved begin with an x and a hyphen: most names need not be looked at. */
function mayBeReserved(name: string): boolean {
  return (name.charCodeAt(0) | 0x20) === 0x78 && name.charCodeAt(1) === 0x2d
}

function dropReserved(raw: RawHeaders, headers: IncomingHttpHeaders): void {
  let to = 0
  for (let at = 0; at < raw.length; at += 2) {
    const written = raw[at] ?? ''
    const name = lowerCase(written)
    if (isReserved(name)) {
      delete headers[name]
      continue
    }
    let value = raw[at + 1] ?? ''
    // As if they were only for this hop, they would not reach where an application sends them on.
    if (name === connection) {
      value = withoutReserved(value)
      headers.connection = value
    }
    raw[to++] = written
    raw[to++] = value
  }
  raw.length = to
}

/** Replaces every header of a name in lower case in both forms, or takes it out. */
export function replaceHeader(raw: RawHeaders, headers: IncomingHttpHeaders, name: string, value: string | undefined): void {
  let to = 0
  for (let at = 0; at < raw.length; at += 2) {
    const written = raw[at] ?? ''
    if (lowerCase(written) === name) continue
    const kept = raw[at + 1] ?? ''
    raw[to++] = written
    raw[to++] = kept
  }
  raw.length = to
  if (value === undefined) {
    delete headers[name]
  } else {
    raw.push(name, value)
    headers[name] = value
  }
}

function namesReserved(value: string): boolean {
  // What nearly every caller sends.
  if (value === 'keep-alive' || value === 'close') return false
  return /x-/i.test(value) && value.split(',').some(token => isReserved(lowerCase(token.trim())))
}

function withoutReserved(value: string): string {
  return value
    .split(',')
    .filter(token => !isReserved(lowerCase(token.trim())))
    .join(',')
}

/** Of what may come once, what is decisive for who a request is from and for. */
const singletons: readonly string[] = ['host', 'authorization', 'proxy-authorization', 'content-length']
const transferEncoding = 'transfer-encoding'

/**
 * Why the headers of a request cannot be judged; `undefined` when they can: a header that must come once came twice (of which Node shows the
 * first, and another reader might take the last), or the framing leaves open where the body ends.
 *
 * @param isHttp10 of HTTP/1.0, which has no transfer encodings
 */
export function headerProblem(raw: readonly string[], isHttp10: boolean): string | undefined {
  let seen = 0
  for (let at = 0; at < raw.length; at += 2) {
    const written = raw[at] ?? ''
    if ((decisiveLengths & (1 << Math.min(written.length, 31))) === 0) continue
    const name = lowerCase(written)
    if (name === transferEncoding && (isHttp10 || lowerCase((raw[at + 1] ?? '').trim()) !== 'chunked'))
      return 'has a transfer encoding that is not supported'
    const place = singletons.indexOf(name)
    if (place < 0) continue
    const bit = 1 << place
    if ((seen & bit) !== 0) return `has two ${name} headers`
    seen |= bit
  }
  return undefined
}

/** A bit for each length that a name has which is decisive, so that most others are told by theirs. */
const decisiveLengths = [...singletons, transferEncoding].reduce((mask, { length }) => mask | (1 << length), 0)

/** Most names come in lower case. */
function lowerCase(name: string): string {
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at)
    if (code >= 0x41 && code <= 0x5a) return name.toLowerCase()
  }
  return name
}
