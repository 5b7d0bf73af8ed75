import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { TestContext } from 'node:test'

/** A request as an upstream saw it. */
export interface SeenRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
  /** Local port of the client's connection: the same for requests on one connection. */
  readonly connection: number
}

/** A server that plays an endpoint. */
export interface Upstream {
  readonly port: number
  /** `127.0.0.1:port`. */
  readonly address: string
  readonly seen: SeenRequest[]
  readonly sockets: Set<Socket>
  readonly server: Server
}

/** Answers a request whose body has been read. */
export type Answer = (request: SeenRequest, response: ServerResponse, raw: IncomingMessage) => void

/** Starts an upstream on port 0 and ends it with the test. By default it answers 200 with its port. */
export async function startUpstream(t: TestContext, answer?: Answer): Promise<Upstream> {
  const seen: SeenRequest[] = []
  const sockets = new Set<Socket>()
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', chunk => chunks.push(chunk))
    request.on('error', () => {})
    request.on('end', () => {
      const one: SeenRequest = {
        method: request.method ?? '',
        url: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
        connection: request.socket.remotePort ?? 0,
      }
      seen.push(one)
      if (answer === undefined) response.end(String(port))
      else answer(one, response, request)
    })
  }
  const server = createServer({ keepAliveTimeout: 60_000 }, listener)
  server.on('connection', socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port, address: `127.0.0.1:${port}`, seen, sockets, server }
}

/** A port on which nobody listens. */
export async function unusedPort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
