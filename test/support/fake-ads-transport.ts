import type { AdsStream, AdsStreamHandler, AdsTransport } from '../../src/discovery/ads-transport.ts'
import type { AdsRequest, AdsResponse, WireResource, XdsProtocol } from '../../src/discovery/discovery-message.ts'
import { type ResourceKind, typeUrls } from '../../src/discovery/resource-type.ts'
import type { XdsNode } from '../../src/discovery/xds-node.ts'

/** An {@link AdsTransport} without a socket: the test plays the server. */
export class FakeAdsTransport implements AdsTransport {
  /** Every stream, in order. */
  readonly streams: FakeAdsStream[] = []
  isClosed = false

  open(protocol: XdsProtocol, handler: AdsStreamHandler): AdsStream {
    const stream = new FakeAdsStream(protocol, handler)
    this.streams.push(stream)
    return stream
  }

  close(): void {
    this.isClosed = true
  }

  /** The newest stream. */
  get stream(): FakeAdsStream {
    const stream = this.streams.at(-1)
    if (!stream) throw new Error('no stream was opened')
    return stream
  }
}

const shortNames: Readonly<Record<string, string>> = {
  [typeUrls.listener]: 'LDS',
  [typeUrls.routeConfiguration]: 'RDS',
  [typeUrls.cluster]: 'CDS',
  [typeUrls.clusterLoadAssignment]: 'EDS',
}

/** One stream of a {@link FakeAdsTransport}. */
export class FakeAdsStream implements AdsStream {
  readonly protocol: XdsProtocol
  readonly requests: AdsRequest[] = []
  readonly nodes: (XdsNode | undefined)[] = []
  isCancelled = false
  readonly #handler: AdsStreamHandler
  #read = 0
  #nonce = 0

  constructor(protocol: XdsProtocol, handler: AdsStreamHandler) {
    this.protocol = protocol
    this.#handler = handler
  }

  send(request: AdsRequest, node: XdsNode | undefined): void {
    this.requests.push(request)
    this.nodes.push(node)
  }

  cancel(): void {
    this.isCancelled = true
  }

  /** The connection is there. */
  connect(): void {
    this.#handler.onConnected()
  }

  /** Sends a response. `version` is also its nonce's second half, so that tests can tell both. */
  respond(kind: ResourceKind, resources: readonly WireResource[], change: Partial<AdsResponse> = {}): Promise<void> {
    const nonce = `n${++this.#nonce}`
    return this.#handler.onResponse({
      typeUrl: typeUrls[kind],
      version: '1',
      nonce,
      resources,
      removed: [],
      errors: [],
      ...change,
    })
  }

  end(code: number, message = ''): void {
    this.#handler.onEnd({ code, message })
  }

  /** What was sent since the last look, such as `LDS a,b`, `CDS a ack n1`, `EDS +a -b nack n2: why`. */
  take(): string[] {
    const fresh = this.requests.slice(this.#read)
    this.#read = this.requests.length
    return fresh.map(describe)
  }
}

function describe(request: AdsRequest): string {
  const names =
    request.protocol === 'sotw'
      ? [request.names.join(',')]
      : [...request.subscribe.map(name => `+${name}`), ...request.unsubscribe.map(name => `-${name}`)]
  const answer =
    request.nonce === ''
      ? ''
      : request.refusal === undefined
        ? `ack ${request.nonce}`
        : `nack ${request.nonce}: ${request.refusal}`
  return [shortNames[request.typeUrl] ?? request.typeUrl, ...names, answer].filter(part => part !== '').join(' ')
}
