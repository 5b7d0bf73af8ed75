import type { Socket } from 'node:net'
import type { ChannelCredentials } from '@grpc/grpc-js'

/**
 * Credentials that show each connection to `watch` once it is secured; grpc-js shows it to nobody else. A build of grpc-js whose credentials
 * make their connections in another way shows none.
 */
export function watchedCredentials(credentials: ChannelCredentials, watch: (socket: Socket) => void): ChannelCredentials {
  if (typeof credentials._createSecureConnector !== 'function') return credentials
  const createConnector = credentials._createSecureConnector.bind(credentials)
  credentials._createSecureConnector = (...args) => {
    const connector = createConnector(...args)
    const connect = connector.connect.bind(connector)
    connector.connect = async socket => {
      const connected = await connect(socket)
      watch(connected.socket)
      return connected
    }
    return connector
  }
  return credentials
}
