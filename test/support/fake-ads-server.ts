import { createHash } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js'
import type { WireResource, XdsProtocol } from '../../src/discovery/discovery-message.ts'
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from '../../src/discovery/gen/envoy/service/discovery/v3/discovery_pb.ts'
import type { FakeLoadStatsServer } from './fake-load-stats-server.ts'
import { wireResource, type XdsMessage } from './xds-resources.ts'

/** A request in the words both protocols share. */
export interface RecordedRequest {
  readonly protocol: XdsProtocol
  /** Counted from 0. */
  readonly stream: number
  readonly typeUrl: string
  /** SotW: all names. Delta: those newly subscribed. */
  readonly names: readonly string[]
  readonly unsubscribed: readonly string[]
  readonly version: string
  readonly nonce: string
  readonly error: { readonly code: number; readonly message: string } | undefined
  readonly initialVersions: Readonly<Record<string, string>>
  readonly node: DiscoveryRequest['node']
}

/** Options of {@link FakeAdsServer.start}. */
export interface FakeAdsServerOptions {
  /** Default: both. Methods of the other are answered with UNIMPLEMENTED. */
  readonly protocols?: readonly XdsProtocol[]
  /** Default 0: any. A port of an earlier server makes it come back. */
  readonly port?: number
  /** Whether requests are answered from the resources that were set. Default true; else only {@link FakeAdsServer.send} answers. */
  readonly answering?: boolean
  /** Whether a name that is new and unknown is answered, with what else was asked for. Default true; else with nothing. */
  readonly answersUnknown?: boolean
  /** Served beside ADS. Default: load reports are answered with UNIMPLEMENTED. */
  readonly loadStats?: FakeLoadStatsServer
}

type Call = ServerDuplexStream<Uint8Array, Uint8Array>

interface Stream {
  readonly index: number
  readonly protocol: XdsProtocol
  readonly call: Call
  readonly names: Map<string, Set<string>>
  readonly sent: Map<string, Map<string, string>>
}

const path = '/envoy.service.discovery.v3.AggregatedDiscoveryService/'
const identity = (bytes: Uint8Array) => Buffer.from(bytes)

/** A control plane on a real socket that holds what the test gives it, records what it is asked, and does what it is told. */
export class FakeAdsServer {
  /** Every request, in order. */
  readonly requests: RecordedRequest[] = []
  /** Addresses of the connections that streams came on. */
  readonly peers = new Set<string>()
  readonly port: number
  readonly #server: Server
  readonly #answering: boolean
  readonly #answersUnknown: boolean
  readonly #streams = new Set<Stream>()
  readonly #resources = new Map<string, Map<string, WireResource>>()
  readonly #events = new EventEmitter()
  #streamCount = 0
  #nonce = 0

  private constructor(server: Server, port: number, { answering = true, answersUnknown = true }: FakeAdsServerOptions) {
    this.#server = server
    this.port = port
    this.#answering = answering
    this.#answersUnknown = answersUnknown
    this.#events.setMaxListeners(0)
  }

  static async start(options: FakeAdsServerOptions = {}): Promise<FakeAdsServer> {
    const server = new Server()
    let fake: FakeAdsServer | undefined
    const handler = (protocol: XdsProtocol) => (call: Call) => fake?.onCall(protocol, call)
    for (const protocol of options.protocols ?? (['sotw', 'delta'] as const)) {
      const name = protocol === 'sotw' ? 'StreamAggregatedResources' : 'DeltaAggregatedResources'
      const method = {
        path: path + name,
        requestStream: true,
        responseStream: true,
        requestSerialize: identity,
        requestDeserialize: identity,
        responseSerialize: identity,
        responseDeserialize: identity,
      }
      server.addService({ [name]: method }, { [name]: handler(protocol) })
    }
    options.loadStats?.addTo(server)
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${options.port ?? 0}`, ServerCredentials.createInsecure(), (error, bound) => {
        if (error) reject(error)
        else resolve(bound)
      })
    })
    fake = new FakeAdsServer(server, port, options)
    return fake
  }

  /** `host:port`. */
  get target(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Streams open now. */
  get openStreams(): number {
    return this.#streams.size
  }

  /** Adds or replaces resources, and pushes what changed to those who asked. */
  set(...messages: readonly XdsMessage[]): void {
    for (const message of messages) {
      const resource = wireResource(message)
      const version = createHash('sha256').update(resource.bytes).digest('hex').slice(0, 8)
      this.#ofType(resource.typeUrl).set(resource.name, { ...resource, version })
    }
    this.#push()
  }

  /** Deletes a resource, and tells those who asked. */
  delete(typeUrl: string, name: string): void {
    this.#ofType(typeUrl).delete(name)
    this.#push()
  }

  /** Sends a response of the test's own to every SotW stream. Returns its nonce. */
  send(response: MessageInitShape<typeof DiscoveryResponseSchema>): string {
    const nonce = `${++this.#nonce}`
    const bytes = toBinary(DiscoveryResponseSchema, create(DiscoveryResponseSchema, { nonce, ...response }))
    for (const { protocol, call } of this.#streams) if (protocol === 'sotw') call.write(bytes)
    return nonce
  }

  /** Sends a response of the test's own to every delta stream. Returns its nonce. */
  sendDelta(response: MessageInitShape<typeof DeltaDiscoveryResponseSchema>): string {
    const nonce = `${++this.#nonce}`
    const bytes = toBinary(DeltaDiscoveryResponseSchema, create(DeltaDiscoveryResponseSchema, { nonce, ...response }))
    for (const { protocol, call } of this.#streams) if (protocol === 'delta') call.write(bytes)
    return nonce
  }

  /** Sends bytes that need not be a response. */
  sendRaw(bytes: Uint8Array): void {
    for (const { call } of this.#streams) call.write(bytes)
  }

  /** The first request, past or to come, that `matches`. */
  async request(matches: (request: RecordedRequest) => boolean): Promise<RecordedRequest> {
    for (;;) {
      const found = this.requests.find(matches)
      if (found) return found
      await once(this.#events, 'request')
    }
  }

  /** Ends one stream cleanly. */
  endStream(index: number): void {
    for (const stream of [...this.#streams]) {
      if (stream.index !== index) continue
      this.#streams.delete(stream)
      stream.call.end()
    }
  }

  /** Ends every stream: cleanly, or with a gRPC status. */
  endStreams(code = 0, details = ''): void {
    for (const { call } of [...this.#streams]) {
      if (code === 0) call.end()
      else call.emit('error', { code, details })
    }
    this.#streams.clear()
  }

  /** Cuts every connection and listens no more. */
  stop(): void {
    this.#server.forceShutdown()
    this.#streams.clear()
  }

  private onCall(protocol: XdsProtocol, call: Call): void {
    const stream: Stream = { index: this.#streamCount++, protocol, call, names: new Map(), sent: new Map() }
    this.#streams.add(stream)
    this.peers.add(call.getPeer())
    call.on('data', (bytes: Uint8Array) => this.#onRequest(stream, bytes))
    call.on('error', () => this.#streams.delete(stream))
    call.on('cancelled', () => this.#streams.delete(stream))
    call.on('end', () => {
      this.#streams.delete(stream)
      call.end()
    })
  }

  #onRequest(stream: Stream, bytes: Uint8Array): void {
    const request = stream.protocol === 'sotw' ? readSotw(stream.index, bytes) : readDelta(stream.index, bytes)
    const before = stream.names.get(request.typeUrl) ?? new Set()
    const names = new Set(stream.protocol === 'sotw' ? request.names : [...before, ...request.names])
    for (const name of request.unsubscribed) names.delete(name)
    stream.names.set(request.typeUrl, names)
    const sent = stream.sent.get(request.typeUrl) ?? new Map(Object.entries(request.initialVersions))
    stream.sent.set(request.typeUrl, sent)
    for (const name of [...sent.keys()]) if (!names.has(name)) sent.delete(name)
    if (this.#answering) this.#answer(stream, request.typeUrl, new Set(request.names.filter(name => !before.has(name))))
    this.requests.push(request)
    this.#events.emit('request')
  }

  /** Sends what the stream asked for and does not have; a name that is new and unknown is answered in delta. */
  #answer(stream: Stream, typeUrl: string, fresh: ReadonlySet<string>): void {
    const resources = this.#ofType(typeUrl)
    const sent = stream.sent.get(typeUrl) ?? new Map<string, string>()
    const wanted = [...(stream.names.get(typeUrl) ?? [])]
    const changed = wanted.flatMap(name => resources.get(name) ?? []).filter(({ name, version }) => sent.get(name) !== version)
    const removed = wanted.filter(name => !resources.has(name) && ((this.#answersUnknown && fresh.has(name)) || sent.has(name)))
    if (changed.length === 0 && removed.length === 0) return
    for (const { name, version } of changed) sent.set(name, version)
    for (const name of removed) sent.delete(name)
    const any = ({ bytes, typeUrl: url }: WireResource) => ({ typeUrl: url, value: bytes })
    const nonce = `${++this.#nonce}`
    if (stream.protocol === 'delta') {
      const response = create(DeltaDiscoveryResponseSchema, {
        typeUrl,
        nonce,
        systemVersionInfo: nonce,
        resources: changed.map(resource => ({ name: resource.name, version: resource.version, resource: any(resource) })),
        removedResources: removed,
      })
      stream.call.write(toBinary(DeltaDiscoveryResponseSchema, response))
    } else {
      const whole = wanted.flatMap(name => resources.get(name) ?? [])
      const response = create(DiscoveryResponseSchema, { typeUrl, nonce, versionInfo: nonce, resources: whole.map(any) })
      stream.call.write(toBinary(DiscoveryResponseSchema, response))
    }
  }

  #push(): void {
    if (!this.#answering) return
    for (const stream of this.#streams) for (const typeUrl of stream.names.keys()) this.#answer(stream, typeUrl, new Set())
  }

  #ofType(typeUrl: string): Map<string, WireResource> {
    const known = this.#resources.get(typeUrl) ?? new Map<string, WireResource>()
    this.#resources.set(typeUrl, known)
    return known
  }
}

function readSotw(stream: number, bytes: Uint8Array): RecordedRequest {
  const request: DiscoveryRequest = fromBinary(DiscoveryRequestSchema, bytes)
  return {
    protocol: 'sotw',
    stream,
    typeUrl: request.typeUrl,
    names: request.resourceNames,
    unsubscribed: [],
    version: request.versionInfo,
    nonce: request.responseNonce,
    error: request.errorDetail,
    initialVersions: {},
    node: request.node,
  }
}

function readDelta(stream: number, bytes: Uint8Array): RecordedRequest {
  const request: DeltaDiscoveryRequest = fromBinary(DeltaDiscoveryRequestSchema, bytes)
  return {
    protocol: 'delta',
    stream,
    typeUrl: request.typeUrl,
    names: request.resourceNamesSubscribe,
    unsubscribed: request.resourceNamesUnsubscribe,
    version: '',
    nonce: request.responseNonce,
    error: request.errorDetail,
    initialVersions: request.initialResourceVersions,
    node: request.node,
  }
}
