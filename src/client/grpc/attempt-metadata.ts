import type { Metadata } from '@grpc/grpc-js'
import type { Endpoint } from '../endpoint.ts'
import { finalizeRequest } from '../finalize-request.ts'
import { formatCommand } from '../format-command.ts'
import type { GrpcExchange } from './grpc-exchange.ts'
import { MetadataHeaders } from './metadata-headers.ts'

/** Says how many attempts there were before (gRFC A6). */
export const previousAttempts = 'grpc-previous-rpc-attempts'

/** What an attempt sends in place of what the client asked for. */
export interface AttemptMetadata {
  readonly metadata: Metadata
  readonly path: string
  /** The `:authority`; `null` leaves that of the channel. */
  readonly host: string | null
}

/** The metadata of an attempt: as its route rewrites it, with the trace and the number of attempts before it that a server may have seen (gRFC A6). */
export function attemptMetadata(exchange: GrpcExchange, metadata: Metadata, endpoint: Endpoint): AttemptMetadata {
  const { span, choice, changesHeaders, attempts, retries, ownHost } = exchange
  const waits = metadata.getOptions().waitForReady === true
  if (!changesHeaders && span === null && retries === 0 && !waits) return { metadata, path: exchange.path, host: ownHost }
  const own = metadata.clone()
  if (waits) own.setOptions({ ...own.getOptions(), waitForReady: false })
  const headers = new MetadataHeaders(own)
  let path = exchange.path
  let host = ownHost
  if (choice?.attachment?.needsFinalizing === true) {
    const finalized = finalizeRequest(choice, exchange, headers, command => formatCommand(exchange, endpoint, command))
    path = finalized.path
    const rewritten = choice.autoHostRewrite && endpoint.hostname !== '' ? endpoint.hostname : finalized.authority
    if (ownHost === null && rewritten !== exchange.authority) host = rewritten
  }
  if (choice?.route.attachment?.sendsAttemptCount === true) headers.set('x-envoy-attempt-count', String(attempts))
  if (retries > 0) headers.set(previousAttempts, String(retries))
  if (span !== null) {
    headers.set('traceparent', span.traceparent)
    if (span.tracestate !== '') headers.set('tracestate', span.tracestate)
    if (span.baggage !== '') headers.set('baggage', span.baggage)
  }
  return { metadata: own, path, host }
}
