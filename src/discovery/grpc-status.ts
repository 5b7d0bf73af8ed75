/** Why a stream ended. */
export interface XdsStreamStatus {
  readonly code: number
  readonly message: string
}

const cancelled = 1
const unknown = 2
const permissionDenied = 7
const resourceExhausted = 8
const unimplemented = 12
const internal = 13
const unavailable = 14
const unauthenticated = 16

type Headers = Readonly<Record<string, string | string[] | number | undefined>>

/** The status in the headers or trailers of an answer; `undefined` when they have none. */
export function statusOfHeaders(headers: Headers): XdsStreamStatus | undefined {
  const code = headers['grpc-status']
  if (code === undefined) return undefined
  return { code: Number(code), message: decodeMessage(String(headers['grpc-message'] ?? '')) }
}

/** What an answer that is not gRPC's means (gRPC, "HTTP to gRPC Status Code Mapping"). */
export function statusOfHttp(httpStatus: number): XdsStreamStatus {
  return { code: httpCodes.get(httpStatus) ?? unknown, message: `answered with HTTP status ${httpStatus}` }
}

/** What the end of a stream without a status means (gRPC over HTTP/2, "Errors"). */
export function statusOfReset(code: number): XdsStreamStatus {
  return { code: resetCodes.get(code) ?? internal, message: `the stream was reset with HTTP/2 error ${code}` }
}

/** What a broken connection means. */
export function statusOfConnection(error: unknown): XdsStreamStatus {
  return { code: unavailable, message: messageOf(isCancelledStream(error) ? error.cause : error) }
}

/** What an error on this side means. */
export function statusOfError(error: unknown): XdsStreamStatus {
  return { code: internal, message: messageOf(error) }
}

/** Node's word for a stream whose connection broke; why it broke is the cause. */
function isCancelledStream(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'ERR_HTTP2_STREAM_CANCEL' && error.cause !== undefined
}

function messageOf(error: unknown): string {
  // One error for each address that was tried, and no message of its own.
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ')
  return error instanceof Error ? error.message : String(error)
}

const httpCodes: ReadonlyMap<number, number> = new Map([
  [400, internal],
  [401, unauthenticated],
  [403, permissionDenied],
  [404, unimplemented],
  [429, unavailable],
  [502, unavailable],
  [503, unavailable],
  [504, unavailable],
])

/** By the number of RFC 9113, section 7: REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY. */
const resetCodes: ReadonlyMap<number, number> = new Map([
  [7, unavailable],
  [8, cancelled],
  [11, resourceExhausted],
  [12, permissionDenied],
])

/** `grpc-message` is percent-encoded; what cannot be decoded is shown as it is. */
function decodeMessage(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
