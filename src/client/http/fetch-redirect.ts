import { isOneShot } from './body-encoder.ts'
import { isForbiddenPort } from './forbidden-port.ts'
import { originOf, type PlainRequest } from './plain-request.ts'
import { plainEncodings, removeHeaders, secureEncodings } from './request-headers.ts'

/** Redirects followed before fetch gives up (Fetch, "HTTP-redirect fetch"). */
export const maxRedirects = 20

const ofTheBody = new Set(['content-encoding', 'content-language', 'content-location', 'content-type', 'content-length'])
const ofTheOrigin = new Set(['authorization', 'proxy-authorization', 'cookie', 'host'])

/** Whether `status` redirects. */
export function isRedirectStatus(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308
}

/**
 * Turns `request` into the one that follows a redirect (Fetch, "HTTP-redirect fetch").
 *
 * @returns what is wrong with following it, as the `cause` of fetch's failure, or `null`
 */
export function redirectRequest(request: PlainRequest, status: number, location: string): Error | null {
  const target = URL.parse(decoded(location), request.href)
  if (target === null) return invalidUrl(decoded(location), request.href)
  const hash = request.href.indexOf('#')
  if (target.hash === '' && hash >= 0) target.hash = request.href.slice(hash)
  if (target.protocol !== 'http:' && target.protocol !== 'https:') return new Error('URL scheme must be a HTTP(S) scheme')
  if (target.username !== '' || target.password !== '') return new Error('cross origin not allowed for request mode "cors"')
  if (status !== 303 && isOneShot(request.body)) return new Error()
  const origin = originOf(target.href)
  if (isForbiddenPort(origin)) return new Error('bad port')

  const turnsIntoGet =
    request.method === 'POST' ? status <= 303 : status === 303 && request.method !== 'GET' && request.method !== 'HEAD'
  if (turnsIntoGet) {
    request.method = 'GET'
    request.body = null
    removeHeaders(request.headers, ofTheBody)
  }
  if (origin !== request.origin) removeHeaders(request.headers, ofTheOrigin)
  if (request.encodesByScheme) {
    const at = request.headers.indexOf('accept-encoding')
    request.headers[at + 1] = target.protocol === 'https:' ? secureEncodings : plainEncodings
  }
  request.href = target.href
  request.origin = origin
  return null
}

// A header is read byte by byte; sites that send UTF-8 in it mean UTF-8.
function decoded(location: string): string {
  for (let at = 0; at < location.length; at++) {
    const code = location.charCodeAt(at)
    if (code > 0x7e || code < 0x20) return Buffer.from(location, 'latin1').toString('utf8')
  }
  return location
}

function invalidUrl(input: string, base: string): Error {
  try {
    new URL(input, base)
  } catch (error) {
    if (error instanceof Error) return error
  }
  return new TypeError('Invalid URL')
}
