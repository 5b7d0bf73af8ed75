import type { Server, Socket } from 'node:net'

/**
 * The sockets that a server has open. They are ended here and not by the server: `destroy()` of an HTTP/2 session that was closed before waits
 * for its peer to hang up, for ever if need be, and `closeAllConnections()` leaves out those that were upgraded and those in a TLS handshake.
 */
export class OpenSockets {
  readonly #sockets = new Set<Socket>()

  /** @param server has no connection yet */
  constructor(server: Server) {
    const add = (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    }
    server.on('connection', add)
    // All that a server with TLS of its own is given where the handshake is done by its gate.
    server.on('secureConnection', add)
  }

  destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}
