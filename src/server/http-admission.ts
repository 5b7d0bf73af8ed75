import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { STATUS_CODES } from '../node-http.ts'
import { type Denial, unavailable } from './denial.ts'
import { isGated } from './gated-servers.ts'
import { HttpRequestStream } from './http-request-stream.ts'
import type { InboundConnection } from './inbound-connection.ts'
import type { RequestGate } from './request-gate.ts'
import { cleanHeaders, headerProblem, replaceHeader } from './request-headers.ts'
import { canonicalTarget } from './request-target.ts'
import { RequestView } from './request-view.ts'

/**
 * Judges an HTTP/1 request by the listener that its connection came by, and brings it into the form in which it was judged: the path that
 * the application sees, and headers that only the mesh sets.
 *
 * @param response absent where the connection is to become something else than HTTP
 * @param connection of the request; `undefined`: it came by no gate
 * @returns `null`: it is served
 */
export function admit(
  gate: RequestGate,
  request: IncomingMessage,
  response: ServerResponse | null,
  connection: InboundConnection | undefined,
): Denial | null | Promise<Denial | null> {
  if (connection === undefined)
    return 'server' in request.socket && isGated(request.socket.server) ? unavailable('the connection came by no listener') : null
  if (connection.chain === null) return null
  return judge(gate, request, response, connection)
}

function judge(
  gate: RequestGate,
  request: IncomingMessage,
  response: ServerResponse | null,
  connection: InboundConnection,
): Denial | null | Promise<Denial | null> {
  const { method = 'GET', url = '/', rawHeaders } = request
  cleanHeaders(rawHeaders, request.headers, connection.peer)
  const authority = request.headers.host ?? ''
  const scheme = connection.isSecure || 'encrypted' in request.socket ? 'https' : 'http'
  let path = url
  let problem = ''
  if (connection.chain?.authorizes === true) {
    problem = headerProblem(rawHeaders, request.httpVersion === '1.0') ?? ''
    const target = canonicalTarget(method, url, authority)
    if (target.ok) path = target.path
    else problem = `the target ${target.problem}`
  }
  const edit = (name: string, value: string | undefined) => replaceHeader(rawHeaders, request.headers, name, value)
  const stream = response !== null && connection.chain?.asks === true ? new HttpRequestStream(request, response) : undefined
  const view = new RequestView(method, path, authority, scheme, false, connection, rawHeaders, edit, stream)
  const verdict = gate.judge(view, problem)
  if (verdict instanceof Promise)
    return verdict.then(denial => {
      if (denial === null) request.url = view.path
      return denial
    })
  if (verdict === null && view.path !== url) request.url = view.path
  return verdict
}

/**
 * Answers on a connection that is to be something else than HTTP from here on, and closes it. Node has given the connection away: nobody else
 * hears of an error on it, or of its end.
 */
export function denySocket(socket: Socket, { statusCode, message, headers = {}, body = Buffer.from(message) }: Denial): void {
  socket.on('error', ignore)
  if (socket.destroyed) return
  const head = `HTTP/1.1 ${statusCode} ${STATUS_CODES[statusCode] ?? ''}`
  const own = Object.entries(headers).flatMap(([name, values]) => [values].flat().map(value => `${name}: ${value}`))
  const lines = [head, 'connection: close', `content-length: ${body.length}`, ...own, '', '']
  socket.write(lines.join('\r\n'), 'latin1')
  socket.end(body)
  // Not when the caller hangs up, which may be never. What it has sent is read, or it would lose the answer to a reset.
  socket.resume()
  socket.destroySoon()
}

/** Does `then` once a verdict on a connection is there; nobody else listens meanwhile. */
export function afterVerdict(socket: Socket, verdict: Promise<Denial | null>, then: (denial: Denial | null) => void): void {
  socket.on('error', ignore)
  void verdict.then(denial => {
    socket.removeListener('error', ignore)
    then(denial)
  })
}

function ignore(): void {}
