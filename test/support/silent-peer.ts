import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

/** A client that opens an HTTP/2 connection, reads nothing that it is told, and never hangs up. */
export async function connectSilentPeer(t: Pick<TestContext, 'after'>, port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  t.after(() => socket.destroy())
  socket.on('error', () => {})
  await once(socket, 'connect')
  const emptySettings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])
  socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), emptySettings]))
  // The server has heard of it when it has said its own settings.
  await once(socket, 'readable')
  return socket
}
