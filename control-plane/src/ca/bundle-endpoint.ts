import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { createSecureContext } from 'node:tls'
import type { Logger } from '../runtime.ts'
import type { ServerTls } from '../xds/server-tls.ts'
import { bundleDocument, refreshHintSeconds, type TrustBundle } from './trust-bundle.ts'

/** Options of {@link BundleEndpoint}. */
export interface BundleEndpointOptions {
  readonly tls: ServerTls
  readonly logger: Logger
  /** The bundle now. */
  bundle(): TrustBundle
}

/** Serves the trust bundle as JWKS over HTTPS at every path (SPIFFE Federation 5). Roots are public: clients need no certificate. */
export class BundleEndpoint {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  constructor({ tls, logger, bundle }: BundleEndpointOptions) {
    const server = createServer({ ...tls.context, handshakeTimeout: 10_000, requestTimeout: 10_000 }, (request, response) =>
      respond(request, response, bundle()),
    )
    server.maxConnections = 1000
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    server.on('tlsClientError', error => logger.debug('a connection to the bundle endpoint failed', { error: error.message }))
    const unsubscribe = tls.onChange(() => {
      try {
        createSecureContext(tls.context)
        server.setSecureContext(tls.context)
      } catch (error) {
        logger.error('the new server certificate cannot be used, the old one stays', { error: String(error) })
      }
    })
    server.on('close', unsubscribe)
    this.#server = server
  }

  /** @returns the bound address as `host:port` */
  async listen(host: string, port: number): Promise<string> {
    this.#server.listen(port, host)
    await once(this.#server, 'listening')
    const { address, family, port: bound } = this.#server.address() as AddressInfo
    return family === 'IPv6' ? `[${address}]:${bound}` : `${address}:${bound}`
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    // Those in a handshake included, which the server itself would leave.
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }
}

function respond({ method }: IncomingMessage, response: ServerResponse, bundle: TrustBundle): void {
  if (method !== 'GET' && method !== 'HEAD') {
    response.writeHead(405, { allow: 'GET, HEAD' }).end()
    return
  }
  const document = bundleDocument(bundle)
  const headers = { 'content-type': 'application/json', 'cache-control': `max-age=${refreshHintSeconds}` }
  response.writeHead(200, { ...headers, 'content-length': Buffer.byteLength(document) }).end(document)
}
