import { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

/** The connection under a TLS socket, which Node keeps in a field that has no type: nothing else leads from the one to the other. */
export function rawSocketOf(socket: TLSSocket): Socket | null {
  return '_parent' in socket && socket._parent instanceof Socket ? socket._parent : null
}
