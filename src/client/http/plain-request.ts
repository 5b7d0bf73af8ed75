import { contentTypeOf, type EncodedBody, encodeBody, isOneShot } from './body-encoder.ts'
import { isForbiddenPort } from './forbidden-port.ts'
import { KnownOrigins } from './known-origins.ts'
import { appendDefaultHeaders, appendHeaders, type CacheMode, defaultHeaders, given } from './request-headers.ts'

/** What fetch does when it is redirected. */
export type RedirectMode = 'follow' | 'manual' | 'error'

/** A request ready for a dispatcher. A redirect changes it in place. */
export class PlainRequest {
  method: string
  /** Serialized, with its fragment. */
  href: string
  /** What comes before the path in {@link PlainRequest.href}. */
  origin: string
  /** Names and values in turn. */
  readonly headers: string[]
  body: EncodedBody
  readonly redirect: RedirectMode
  readonly signal: AbortSignal | null
  /** Whether `Accept-Encoding` is fetch's own, which depends on the scheme. */
  readonly encodesByScheme: boolean

  constructor(
    method: string,
    href: string,
    origin: string,
    headers: string[],
    body: EncodedBody,
    redirect: RedirectMode,
    signal: AbortSignal | null,
    encodesByScheme: boolean,
  ) {
    this.method = method
    this.href = href
    this.origin = origin
    this.headers = headers
    this.body = body
    this.redirect = redirect
    this.signal = signal
    this.encodesByScheme = encodesByScheme
  }
}

/** The members of `RequestInit` that are understood here; a request that uses any other is not plain. */
interface Init {
  readonly method?: unknown
  readonly headers?: unknown
  readonly body?: unknown
  readonly redirect?: unknown
  readonly signal?: unknown
  readonly duplex?: unknown
  readonly cache?: unknown
  readonly mode?: unknown
  readonly credentials?: unknown
  readonly keepalive?: unknown
  readonly referrer?: unknown
  readonly referrerPolicy?: unknown
  readonly integrity?: unknown
  readonly window?: unknown
  readonly priority?: unknown
  readonly dispatcher?: unknown
}

const none: Init = {}
const globalOrigin = Symbol.for('undici.globalOrigin.1')

/**
 * Reads what nearly every caller passes: an HTTP URL and the common options, all valid.
 *
 * @returns `null` for the rest, rare or wrong, which Node's own fetch shall judge
 */
export function plainRequest(input: unknown, init: unknown): PlainRequest | null {
  if (globalOrigin in globalThis && Reflect.get(globalThis, globalOrigin) !== undefined) return null
  const from: Init | null = init === undefined || init === null ? none : typeof init === 'object' ? init : null
  if (from === null || !isPlain(from)) return null
  if (typeof input === 'string') {
    const known = knownOrigins.originOf(input)
    if (known !== null) return build(input, known, from)
    const url = URL.parse(input)
    return url === null ? null : checked(url.href, from)
  }
  if (input instanceof URL) return checked(input.href, from)
  return input instanceof Request && from === none ? fromRequest(input) : null
}

// A `Request` does not say whether its body was a string or a stream, so only one without a body can be read from outside.
function fromRequest(request: Request): PlainRequest | null {
  if (request.body !== null || !isPlainMode(request.mode) || request.referrer !== 'about:client' || request.integrity !== '')
    return null
  const { url, method, headers, redirect, signal, cache } = request
  return checked(url, { method, headers, redirect, signal, cache })
}

function isPlain(init: Init): boolean {
  return (
    (init.mode === undefined || init.mode === 'cors') &&
    (init.credentials === undefined || isOneOf(credentialsModes, init.credentials)) &&
    (init.keepalive === undefined || typeof init.keepalive === 'boolean') &&
    init.referrer === undefined &&
    init.referrerPolicy === undefined &&
    init.integrity === undefined &&
    init.window === undefined &&
    init.priority === undefined &&
    init.dispatcher === undefined
  )
}

const isPlainMode = (mode: unknown) => mode === 'cors'
const credentialsModes = ['omit', 'same-origin', 'include'] as const
const redirectModes = ['follow', 'manual', 'error'] as const
const cacheModes = ['default', 'no-store', 'reload', 'no-cache', 'force-cache'] as const

function isOneOf<T>(values: readonly T[], value: unknown): value is T {
  return (values as readonly unknown[]).includes(value)
}

const knownOrigins = new KnownOrigins()

function checked(href: string, init: Init): PlainRequest | null {
  const origin = originOf(href)
  if (!/^https?:/.test(origin) || origin.includes('@') || isForbiddenPort(origin)) return null
  knownOrigins.learn(origin)
  return build(href, origin, init)
}

/** @param origin of `href`, and fit to be called */
function build(href: string, origin: string, init: Init): PlainRequest | null {
  const method = init.method === undefined ? 'GET' : normalizedMethod(init.method)
  if (method === null) return null
  const redirect = init.redirect === undefined ? 'follow' : init.redirect
  if (!isOneOf<RedirectMode>(redirectModes, redirect)) return null
  const cache = init.cache === undefined ? 'default' : init.cache
  if (!isOneOf<CacheMode>(cacheModes, cache)) return null
  const signal = init.signal ?? null
  if (signal !== null && !(signal instanceof AbortSignal)) return null
  if (init.duplex !== undefined && init.duplex !== 'half') return null

  const isSecure = origin.startsWith('https:')
  if (init.headers === undefined && init.body === undefined && cache === 'default') {
    return new PlainRequest(method, href, origin, defaultHeaders(isSecure), null, redirect, signal, true)
  }
  const headers: string[] = []
  let flags = appendHeaders(headers, init.headers)
  if (flags < 0) return null
  const body = encodeBody(init.body)
  if (body === undefined) return null
  if (body !== null) {
    if (method === 'GET' || method === 'HEAD') return null
    if (isOneShot(body) && (init.duplex === undefined || init.keepalive === true)) return null
    const type = (flags & given.contentType) === 0 ? contentTypeOf(init.body) : null
    if (type !== null) {
      headers.push('content-type', type)
      flags |= given.contentType
    }
  }
  appendDefaultHeaders(headers, flags, cache, isSecure)
  return new PlainRequest(
    method,
    href,
    origin,
    headers,
    body,
    redirect,
    signal,
    (flags & (given.acceptEncoding | given.range)) === 0,
  )
}

/** The method as it is sent; `null` for any that is neither common nor obviously valid. */
function normalizedMethod(method: unknown): string | null {
  switch (method) {
    case 'GET':
    case 'POST':
    case 'PUT':
    case 'PATCH':
    case 'DELETE':
    case 'HEAD':
    case 'OPTIONS':
      return method
    case 'get':
    case 'post':
    case 'put':
    case 'delete':
    case 'head':
    case 'options':
      return method.toUpperCase()
    default:
      return null
  }
}

/** The part of a serialized HTTP URL before its path. */
export function originOf(href: string): string {
  return href.slice(0, href.indexOf('/', 8))
}

/** Path and query of a serialized HTTP URL, a bare `?` included. */
export function pathOf(href: string): string {
  const from = href.indexOf('/', 8)
  const hash = href.indexOf('#', from)
  return hash < 0 ? href.slice(from) : href.slice(from, hash)
}
