/** What is spoken on a port, as far as it matters to a caller. `tcp` is everything that is not routed. */
export type Protocol = 'http' | 'http2' | 'tcp'

const known: ReadonlyMap<string, Protocol | 'udp'> = new Map<string, Protocol | 'udp'>([
  ['http', 'http'],
  ['http1', 'http'],
  ['http_proxy', 'http'],
  ['kubernetes.io/ws', 'http'],
  ['http2', 'http2'],
  ['h2c', 'http2'],
  ['kubernetes.io/h2c', 'http2'],
  ['grpc', 'http2'],
  ['grpc-web', 'http2'],
  ['tcp', 'tcp'],
  ['https', 'tcp'],
  ['tls', 'tcp'],
  ['kubernetes.io/wss', 'tcp'],
  ['mongo', 'tcp'],
  ['redis', 'tcp'],
  ['mysql', 'tcp'],
  ['udp', 'udp'],
])

/** The protocol of a declared name. One that is unknown is taken for HTTP; `undefined` for UDP, which nobody can call. */
export function protocolOf(name: string): Protocol | undefined {
  const protocol = known.get(name.toLowerCase()) ?? 'http'
  return protocol === 'udp' ? undefined : protocol
}

/** The protocol of a Kubernetes port: its `appProtocol`, else what its name begins with, such as `grpc` in `grpc-api`. */
export function protocolOfPort(appProtocol: string, name: string): Protocol | undefined {
  if (appProtocol !== '') return protocolOf(appProtocol)
  if (name.startsWith('grpc-web')) return 'http2'
  return protocolOf(name.split('-')[0] ?? '')
}
