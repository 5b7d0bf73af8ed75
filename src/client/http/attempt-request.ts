import { stringify } from 'node:querystring'
import type { Dispatcher } from 'undici'
import { expectedTimeoutMs, withinDeadlineMs } from '../../policies/timeout.ts'
import type { Endpoint } from '../endpoint.ts'
import type { Exchange } from '../exchange.ts'
import { finalizeRequest } from '../finalize-request.ts'
import { FlatHeaders } from '../flat-headers.ts'
import { formatCommand } from '../format-command.ts'
import type { HeaderSource } from '../route-request.ts'
import { isFormData } from './body-replay.ts'
import { undiciFormData } from './undici.ts'

type Options = Dispatcher.DispatchOptions

/** A form that undici refuses: of Node's own `FormData`, or of another copy. */
function isForeignForm(body: unknown): body is FormData {
  return isFormData(body) && !(body instanceof undiciFormData())
}

/** Whether {@link prepareOptions} has anything to do. */
export function needsPreparing(options: Options): boolean {
  const { headers, query, body } = options
  if (query !== undefined && query !== null) return true
  if (typeof headers === 'object' && headers !== null && !Array.isArray(headers) && Symbol.iterator in headers) return true
  return isForeignForm(body)
}

/**
 * Brings a request into a form that can be matched and sent more than once: the query in the path, headers that can be read again, and a form
 * of another copy of `FormData`, which undici refuses, as the stream that it encodes to.
 */
export function prepareOptions(options: Options): Options {
  const { query, body, path } = options
  const headers = FlatHeaders.from(options.headers)
  const prepared: Options = { ...options, headers: headers.list }
  if (query !== undefined && query !== null) {
    if (path.includes('?') || path.includes('#')) {
      throw new TypeError('Query params cannot be passed when url already contains "?" or "#".')
    }
    delete prepared.query
    const text = stringify(query)
    if (text !== '') prepared.path = `${path}?${text}`
  }
  if (isForeignForm(body)) {
    const encoded = new Response(body)
    const contentType = encoded.headers.get('content-type')
    if (contentType !== null && !headers.has('content-type')) headers.set('content-type', contentType)
    Object.assign(prepared, { body: encoded.body })
  }
  return prepared
}

/**
 * What an attempt sends in place of `options`: rewritten by its route, with the trace and the attempt count.
 *
 * @param body the replaying body, or the caller's own
 */
export function attemptRequest(exchange: Exchange, options: Options, body: unknown, endpoint: Endpoint | null): Options {
  const { span, choice, changesHeaders, requestDeadlineAt } = exchange
  const request: Options = { ...options, path: exchange.path }
  if (body !== options.body) Object.assign(request, { body })
  if (!changesHeaders && span === null && requestDeadlineAt === 0) return request
  const headers = FlatHeaders.from(options.headers)
  if (choice?.attachment?.needsFinalizing === true) {
    const { path, authority } = finalizeRequest(choice, exchange, headers, command => formatCommand(exchange, endpoint, command))
    request.path = path
    const host = choice.autoHostRewrite && endpoint !== null && endpoint.hostname !== '' ? endpoint.hostname : authority
    if (host !== exchange.authority) {
      headers.set('host', host)
      if (choice.autoHostRewrite) headers.set('x-envoy-original-host', exchange.authority)
    }
  }
  if (choice?.route.attachment?.sendsAttemptCount === true) headers.set('x-envoy-attempt-count', String(exchange.attempts))
  if (requestDeadlineAt !== 0) headers.set('x-envoy-expected-rq-timeout-ms', String(expectedMs(exchange)))
  if (span !== null) {
    headers.set('traceparent', span.traceparent)
    if (span.tracestate !== '') headers.set('tracestate', span.tracestate)
    if (span.baggage !== '') headers.set('baggage', span.baggage)
  }
  request.headers = headers.list
  return request
}

/** The headers of a prepared request, as the router reads them. */
export function headerSource(options: Options): HeaderSource {
  const { headers } = options
  return headers === undefined || headers === null || Array.isArray(headers) || !(Symbol.iterator in headers) ? headers : null
}

/** How long an answer is waited for, in whole milliseconds: of the route's times, and of the request that it is made for, what ends first. */
function expectedMs({ environment, plan, startedAt, requestDeadlineAt }: Exchange): number {
  const now = environment.clock.now()
  const ofRoute = plan === null ? 0 : expectedTimeoutMs(plan, now - startedAt)
  return Math.ceil(withinDeadlineMs(ofRoute, requestDeadlineAt - now))
}
