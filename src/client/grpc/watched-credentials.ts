import type { Socket } from 'node:net'
import type { ChannelCredentials } from '@grpc/grpc-js'

/** What grpc-js's connector keeps of Node's options, for as long as it is made of an object that has them. */
interface ConnectorOptions {
  readonly connectionOptions?: { servername?: string }
}

/**
 * Credentials that show each connection to `watch` once it is secured; grpc-js shows it to nobody else. A build of grpc-js whose credentials
 * make their connections in another way shows none.
 *
 * @param sendsServerName without, no SNI is sent; grpc-js would say the address
 */
export function watchedCredentials(
  credentials: ChannelCredentials,
  sendsServerName: boolean,
  watch: (socket: Socket) => void,
): ChannelCredentials {
  if (typeof credentials._createSecureConnector !== 'function') return credentials
  const createConnector = credentials._createSecureConnector.bind(credentials)
  credentials._createSecureConnector = (...args) => {
    const connector: ReturnType<typeof createConnector> & ConnectorOptions = createConnector(...args)
    if (!sendsServerName && connector.connectionOptions !== undefined) connector.connectionOptions.servername = ''
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
