/**
 * What a route is chosen by. The exchange implements it over the caller's own header form, so that a request whose
 * route asks for no header costs no copy of them.
 */
export interface RouteRequest {
  /** Host, with its port if the caller named one. */
  readonly authority: string
  readonly method: string
  /** Path with its query. */
  readonly path: string
  /** `http` or `https`. */
  readonly scheme: string
  /** The value or values of a header by its lower-case name; `undefined` when it is absent. */
  header(name: string): string | readonly string[] | undefined
}

/**
 * The header forms undici accepts: a flat list of names and values, an object, pairs. Pairs are read again for each look-up:
 * what can be read only once (a generator) must be copied first.
 */
export type HeaderSource =
  | readonly (string | Buffer)[]
  | Readonly<Record<string, string | readonly string[] | number | undefined>>
  | Iterable<readonly [string, string | readonly string[] | undefined]>
  | null
  | undefined

/** Reads a header out of the form the caller gave, without a copy unless it is repeated. `name` is lower case. */
export function readHeader(headers: HeaderSource, name: string): string | readonly string[] | undefined {
  if (headers === null || headers === undefined) return undefined
  if (Array.isArray(headers)) return readFlat(headers, name)
  if (isPairs(headers)) return readPairs(headers, name)
  return readObject(headers as Readonly<Record<string, string | readonly string[] | number | undefined>>, name)
}

function isPairs(headers: object): headers is Iterable<readonly [string, string | readonly string[] | undefined]> {
  return Symbol.iterator in headers
}

function readFlat(headers: readonly (string | Buffer)[], name: string): string | readonly string[] | undefined {
  let found: string | string[] | undefined
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const key = headers[at]
    if (
      key === undefined ||
      key.length !== name.length ||
      !sameName(typeof key === 'string' ? key : key.toString('latin1'), name)
    )
      continue
    const value = headers[at + 1] as string | Buffer | readonly string[]
    found = join(found, typeof value === 'string' ? value : Buffer.isBuffer(value) ? value.toString('latin1') : value)
  }
  return found
}

function readObject(
  headers: Readonly<Record<string, string | readonly string[] | number | undefined>>,
  name: string,
): string | readonly string[] | undefined {
  let found: string | readonly string[] | undefined
  for (const key in headers) {
    if (key.length !== name.length || !sameName(key, name)) continue
    const value = headers[key]
    if (value === undefined || value === null) continue
    const text = typeof value === 'number' ? String(value) : value
    found = found === undefined ? text : join(asList(found), text)
  }
  return found
}

function readPairs(
  headers: Iterable<readonly [string, string | readonly string[] | undefined]>,
  name: string,
): string | readonly string[] | undefined {
  let found: string | string[] | undefined
  for (const [key, value] of headers) {
    if (value !== undefined && key.length === name.length && sameName(key, name)) found = join(found, value)
  }
  return found
}

function asList(value: string | readonly string[]): string | string[] {
  return typeof value === 'string' ? value : value.slice()
}

function join(found: string | string[] | undefined, value: string | readonly string[]): string | string[] {
  if (found === undefined) return asList(value)
  const list = typeof found === 'string' ? [found] : found
  if (typeof value === 'string') list.push(value)
  else list.push(...value)
  return list
}

/** Compares without making a lower-case copy; the lengths are known to be equal. */
function sameName(key: string, lowerCase: string): boolean {
  if (key === lowerCase) return true
  for (let at = 0; at < key.length; at++) {
    const code = key.charCodeAt(at)
    const lower = code >= 65 && code <= 90 ? code + 32 : code
    if (lower !== lowerCase.charCodeAt(at)) return false
  }
  return true
}
