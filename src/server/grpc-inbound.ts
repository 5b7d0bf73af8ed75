import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { parseGrpcTimeout } from '../policies/timeout.ts'
import type { MeshTelemetry } from '../telemetry/create-telemetry.ts'
import type { InboundExchange } from '../telemetry/inbound-exchange.ts'
import type { InboundRequest } from '../telemetry/inbound-request.ts'
import { bindEvents } from './bound-events.ts'
import { connectionOf, sourceOf } from './inbound-connection.ts'

/** CANCELLED: what becomes of a call that ends without a status. */
const cancelled = 1

const served = new WeakSet<ServerHttp2Stream>()

/** Whether an HTTP/2 stream is a gRPC call. */
export function isGrpc(headers: IncomingHttpHeaders): boolean {
  return (
    headers['content-type']?.startsWith('application/grpc') === true &&
    !headers['content-type'].startsWith('application/grpc-web')
  )
}

/** Serves a request of HTTP/2, mostly a gRPC call, inside its trace and deadline, and counts it. `handle` is what its server does with it. */
export function serveStream(
  telemetry: MeshTelemetry,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  handle: () => void,
): void {
  if (served.has(stream)) {
    handle()
    return
  }
  served.add(stream)
  const given = headers['grpc-timeout']
  const timeoutMs = typeof given === 'string' ? (parseGrpcTimeout(given) ?? 0) : 0
  const exchange = telemetry.receive(describe(stream, headers), timeoutMs, false)
  noteStatus(stream, exchange, isGrpc(headers))
  bindEvents(stream, { exchange })
  exchange.run(handle)
}

/** The status is in the headers of an answer that is nothing else, and in the trailers of every other. */
function noteStatus(stream: ServerHttp2Stream, exchange: InboundExchange, isCall: boolean): void {
  const { respond, sendTrailers } = stream
  let status = -1
  let isAnswered = false
  let statusCode = 200
  const note = (headers: unknown) => {
    if (typeof headers !== 'object' || headers === null) return
    if (':status' in headers) statusCode = Number(headers[':status'])
    if (!('grpc-status' in headers)) return
    const value = Number(headers['grpc-status'])
    if (Number.isInteger(value)) status = value
  }
  stream.respond = (...args: Parameters<typeof respond>) => {
    isAnswered = true
    note(args[0])
    Reflect.apply(respond, stream, args)
  }
  stream.sendTrailers = headers => {
    note(headers)
    Reflect.apply(sendTrailers, stream, [headers])
  }
  stream.once('close', () =>
    exchange.finish({
      statusCode: isAnswered ? statusCode : 0,
      grpcStatus: !isCall ? -1 : status < 0 ? cancelled : status,
      route: '',
      requestBytes: 0,
      responseBytes: 0,
      wasAborted: isCall ? status < 0 : !stream.writableFinished,
      error: null,
    }),
  )
}

function describe(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): InboundRequest {
  const socket = stream.session?.socket
  return {
    isGrpc: isGrpc(headers),
    method: headers[':method'] ?? 'POST',
    scheme: headers[':scheme'] === 'https' ? 'https' : 'http',
    authority: headers[':authority'] ?? headers.host ?? '',
    path: headers[':path'] ?? '/',
    protocolVersion: '2',
    headers,
    peerAddress: socket?.remoteAddress ?? '',
    peerPort: socket?.remotePort ?? 0,
    ...sourceOf(stream.session && connectionOf(stream.session), socket),
  }
}
