import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { type Denial, unavailable } from './denial.ts'
import { isGrpc } from './grpc-inbound.ts'
import { Http2RequestStream } from './http2-request-stream.ts'
import { connectionOf, type InboundConnection } from './inbound-connection.ts'
import type { RequestGate } from './request-gate.ts'
import { cleanHeaders, headerProblem, replaceHeader } from './request-headers.ts'
import { canonicalTarget } from './request-target.ts'
import { RequestView } from './request-view.ts'

/**
 * Judges a request that came over HTTP/2 by the listener that its connection came by, and brings its headers into the form in which it was
 * judged.
 *
 * @param rawHeaders names and values in turn
 * @returns `null`: it is served
 */
export function admitStream(
  gate: RequestGate,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: string[],
): Denial | null | Promise<Denial | null> {
  const connection = stream.session === undefined ? undefined : connectionOf(stream.session)
  if (connection === undefined) return unavailable('the connection came by no listener')
  if (connection.chain === null) return null
  return judge(gate, stream, headers, rawHeaders, isGrpc(headers), connection)
}

function judge(
  gate: RequestGate,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: string[],
  isCall: boolean,
  connection: InboundConnection,
): Denial | null | Promise<Denial | null> {
  cleanHeaders(rawHeaders, headers, connection.peer)
  const method = headers[':method'] ?? ''
  const given = headers[':path'] ?? ''
  const authority = headers[':authority'] ?? headers.host ?? ''
  let problem = ''
  let path = given
  if (connection.chain?.authorizes === true) {
    problem = problemOf(headers, rawHeaders, authority)
    const target = canonicalTarget(method, given, authority)
    if (!target.ok) problem = `the path ${target.problem}`
    // A method of gRPC has one form, and the server knows no other.
    else if (isCall && target.path !== given) problem = 'the path is no method of gRPC'
    else path = target.path
  }
  const plain = rawHeaders.filter((_, at) => rawHeaders[at - (at % 2)]?.startsWith(':') !== true)
  const edit = (name: string, value: string | undefined) => {
    replaceHeader(rawHeaders, headers, name, value)
    replaceHeader(plain, headers, name, value)
  }
  const scheme = headers[':scheme'] ?? 'http'
  const view = new RequestView(
    method,
    path,
    authority,
    scheme,
    isCall,
    connection,
    plain,
    edit,
    connection.chain?.asks === true ? new Http2RequestStream(stream, headers) : undefined,
  )
  const verdict = gate.judge(view, problem)
  const settle = (denial: Denial | null): Denial | null => {
    if (denial === null && view.path !== given) setPath(headers, rawHeaders, view.path)
    return denial
  }
  return verdict instanceof Promise ? verdict.then(settle) : settle(verdict)
}

function setPath(headers: IncomingHttpHeaders, rawHeaders: string[], path: string): void {
  headers[':path'] = path
  const at = rawHeaders.indexOf(':path')
  if (at >= 0) rawHeaders[at + 1] = path
}

function problemOf(headers: IncomingHttpHeaders, rawHeaders: readonly string[], authority: string): string {
  if (headers.host !== undefined && headers.host.toLowerCase() !== authority.toLowerCase())
    return 'the Host header names another authority than :authority'
  return headerProblem(rawHeaders, false) ?? ''
}

/** Answers in the place of the application. */
export function denyStream(
  stream: ServerHttp2Stream,
  { statusCode, grpcStatus, message, headers, body = Buffer.from(message) }: Denial,
  request: IncomingHttpHeaders,
): void {
  if (stream.destroyed || stream.closed) return
  if (isGrpc(request)) {
    const { 'content-type': _, ...others } = headers ?? {}
    const answer = {
      ...others,
      ':status': 200,
      'content-type': 'application/grpc+proto',
      'grpc-status': String(grpcStatus),
      'grpc-message': encodeMessage(message),
    }
    stream.respond(answer, { endStream: true })
  } else {
    const answer = { ':status': statusCode, ...(body.length === 0 ? undefined : { 'content-type': 'text/plain' }), ...headers }
    const isEmpty = body.length === 0 || request[':method'] === 'HEAD'
    stream.respond(answer, { endStream: isEmpty })
    if (!isEmpty) stream.end(body)
  }
  // Whatever the caller sent, and still sends, is not wanted.
  stream.resume()
  stream.close()
}

/** As gRPC has it: only what is no printable ASCII, and the percent sign. */
function encodeMessage(message: string): string {
  return message.replaceAll(/[^\x20-\x24\x26-\x7e]+/g, encodeURIComponent)
}
