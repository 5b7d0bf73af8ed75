import type { CallCredentials, ChannelCredentials } from '@grpc/grpc-js'

/**
 * Credentials of a connection with the credentials of calls that another one has: those are of the application, and go with its calls however
 * the mesh secures the connection (gRFC A29). A build of grpc-js that keeps them in another way has none.
 */
export function withCallCredentialsOf(given: ChannelCredentials, secured: ChannelCredentials): ChannelCredentials {
  const calls = callCredentialsOf(given)
  return calls === null ? secured : secured.compose(calls)
}

/** grpc-js has them in what connects. Those without TLS have none, as they would be told to everybody. */
function callCredentialsOf(given: ChannelCredentials): CallCredentials | null {
  if (!given._isSecure() || typeof given._createSecureConnector !== 'function') return null
  const connector = given._createSecureConnector({ scheme: 'dns', path: 'localhost' }, {})
  const calls = connector.getCallCredentials()
  connector.destroy()
  return calls
}
