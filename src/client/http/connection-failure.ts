import type { Socket } from 'node:net'

const failedConnects = new WeakSet<Error>()
const staleErrors = new WeakSet<Error>()

/** Remembers that `error` ended an attempt to connect, TLS handshake included: nothing of a request was sent. */
export function markConnectFailure(error: Error): void {
  failedConnects.add(error)
}

/** Whether `error` ended an attempt to connect. */
export function isConnectFailure(error: Error): boolean {
  return failedConnects.has(error)
}

/**
 * Watches a new connection, so that {@link isStaleConnection} can tell later.
 * To be called before undici adds its own listeners: they hand the very same error object on.
 */
export function watchConnection(socket: Socket): void {
  socket.on('error', rememberStale)
}

function rememberStale(this: Socket, error: Error): void {
  if (this.bytesRead > 0) staleErrors.add(error)
}

/**
 * Whether the connection had answered a request before `error` ended it. With no byte of the present answer received, the server closed an
 * idle kept-alive connection just as it was used again: it never read the request.
 */
export function isStaleConnection(error: Error): boolean {
  if (staleErrors.has(error)) return true
  return 'socket' in error && hasBytesRead(error.socket) && error.socket.bytesRead > 0
}

function hasBytesRead(value: unknown): value is { readonly bytesRead: number } {
  return typeof value === 'object' && value !== null && 'bytesRead' in value && typeof value.bytesRead === 'number'
}
