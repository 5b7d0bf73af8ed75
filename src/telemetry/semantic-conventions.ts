import type { Outcome } from './outcome.ts'

/** Bucket boundaries in seconds of every `*.request.duration` of the stable HTTP semantic conventions. */
export const durationBoundariesS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

/** Bucket boundaries in bytes of body sizes, for which the conventions advise none. */
export const sizeBoundariesBytes: readonly number[] = [0, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000]

/**
 * `http.request.method`: a method of RFC 9110, RFC 5789 or RFC 10008 as it is, any other as `_OTHER`, so that callers cannot make
 * series without end.
 */
export function knownMethod(method: string): string {
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'POST':
    case 'PUT':
    case 'DELETE':
    case 'CONNECT':
    case 'OPTIONS':
    case 'TRACE':
    case 'PATCH':
    case 'QUERY':
      return method
    default:
      return '_OTHER'
  }
}

/** `error.type` of an error: its stable `code`, else the name of its class. */
export function errorTypeOf(error: Error): string {
  if ('code' in error && typeof error.code === 'string' && error.code !== '') return error.code
  return error.name === '' ? '_OTHER' : error.name
}

/** `error.type` of a call from its caller's side: the error, else a status of 400 or more, else empty. */
export function clientErrorType({ error, statusCode }: Outcome): string {
  if (statusCode >= 400) return String(statusCode)
  return error === null ? '' : errorTypeOf(error)
}

/** `server.address` and `server.port` of a logical authority. */
export interface ServerAddress {
  readonly address: string
  readonly port: number
}

/** Splits `host`, `host:port`, `[v6]` or `[v6]:port`; without a port, the scheme's default. */
export function serverAddress(authority: string, scheme: string): ServerAddress {
  const match = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(authority)
  const host = match?.[1] ?? authority
  const port = match?.[2] === undefined ? (scheme === 'https' ? 443 : 80) : Number(match[2])
  return { address: host.startsWith('[') ? host.slice(1, -1) : host, port }
}

/**
 * Query parameters that the conventions name as carriers of credentials, RFC 6750's `access_token`, and whatever carries a JSON Web Token
 * under a name of its own.
 */
const secretParameters =
  /([?&](?:(?:AWSAccessKeyId|Signature|sig|X-Goog-Signature|access_token)=|[^=&#]*=(?=eyJ[\w-]*\.[\w-]+\.)))[^&#]*/g

/** `url.full` without user information, fragment and the values of known secrets. */
export function fullUrl(scheme: string, authority: string, path: string): string {
  const at = authority.lastIndexOf('@')
  return `${scheme}://${at < 0 ? authority : authority.slice(at + 1)}${redactQuery(path)}`
}

/** A path and query with the values of known secrets replaced. */
export function redactQuery(path: string): string {
  return path.includes('?') ? path.replace(secretParameters, '$1REDACTED') : path
}
