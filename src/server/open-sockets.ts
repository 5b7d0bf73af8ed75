import type { Server, Socket } from 'node:net'

/**
 * The sockets that a server has open. They are ended here and not by their HTTP/2 sessions: `destroy()` of a session that was closed before
 * waits for its peer to hang up, for ever if need be.
 */
export class OpenSockets {
  readonly #sockets = new Set<Socket>()

  /** @param server has no connection yet */
  constructor(server: Server) {
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
  }

  destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}
