import type { AdsStream, AdsStreamHandler, AdsTransport } from './ads-transport.ts'
import type { AdsRequest, AdsResponse, XdsProtocol } from './discovery-message.ts'
import type { XdsNode } from './xds-node.ts'
import type { StreamMethod, XdsTransport } from './xds-stream.ts'

interface Outgoing {
  readonly request: AdsRequest
  readonly node: XdsNode | undefined
}

const service = '/envoy.service.discovery.v3.AggregatedDiscoveryService'
const methods: Readonly<Record<XdsProtocol, StreamMethod<Outgoing, AdsResponse>>> = {
  sotw: { path: `${service}/StreamAggregatedResources`, loadCodec: () => loadCodec('sotw'), renewsConnection: true },
  delta: { path: `${service}/DeltaAggregatedResources`, loadCodec: () => loadCodec('delta'), renewsConnection: true },
}

async function loadCodec(protocol: XdsProtocol) {
  const { encodeRequest, decodeResponse } = await import('./discovery-codec.ts')
  return {
    encode: ({ request, node }: Outgoing) => encodeRequest(request, node),
    decode: (bytes: Uint8Array) => decodeResponse(protocol, bytes),
  }
}

/** The {@link AdsTransport} over HTTP/2. The connection is made anew after a stream that brought nothing. */
export class Http2AdsTransport implements AdsTransport {
  readonly #transport: XdsTransport

  /** @param transport whose connection is closed with this one */
  constructor(transport: XdsTransport) {
    this.#transport = transport
  }

  open(protocol: XdsProtocol, handler: AdsStreamHandler): AdsStream {
    const stream = this.#transport.open(methods[protocol], handler)
    return { send: (request, node) => stream.send({ request, node }), cancel: () => stream.cancel() }
  }

  close(): void {
    this.#transport.close()
  }
}
