import type { Socket } from 'node:net'
import type { Clock } from '../runtime.ts'

/** Content type of a TLS handshake record (RFC 8446 section 5.1): the first byte of every ClientHello, and of no HTTP request. */
const tlsHandshake = 0x16
const detectTimeoutMs = 10_000

/**
 * Tells by its first byte whether a connection begins as TLS does; the byte stays where it was. A connection that says nothing for 10 s is
 * closed, and `onFound` is not called.
 */
export function detectTransport(socket: Socket, clock: Clock, onFound: (transport: 'tls' | 'raw_buffer') => void): void {
  const end = () => {
    timer.cancel()
    socket.removeListener('readable', onReadable)
    socket.removeListener('close', end)
    socket.removeListener('end', onEnd)
  }
  const onEnd = () => socket.destroy()
  const onReadable = () => {
    const chunk: unknown = socket.read()
    if (!Buffer.isBuffer(chunk)) return
    end()
    socket.unshift(chunk)
    onFound(chunk[0] === tlsHandshake ? 'tls' : 'raw_buffer')
  }
  const timer = clock.setTimeout(() => socket.destroy(), detectTimeoutMs)
  socket.on('readable', onReadable)
  socket.on('close', end)
  socket.on('end', onEnd)
}
