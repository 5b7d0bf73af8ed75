import { readFileSync } from 'node:fs'
import type { ChannelCredentials, Client, ClientDuplexStream, ServiceError } from '@grpc/grpc-js'
import type { AdsStream, AdsStreamHandler, AdsStreamStatus, AdsTransport } from './ads-transport.ts'
import type { XdsCredentials, XdsServer } from './bootstrap.ts'
import type { AdsRequest, XdsProtocol } from './discovery-message.ts'
import type { XdsNode } from './xds-node.ts'

type Grpc = typeof import('@grpc/grpc-js')
type Codec = typeof import('./discovery-codec.ts')

const service = '/envoy.service.discovery.v3.AggregatedDiscoveryService'
const methods: Readonly<Record<XdsProtocol, string>> = {
  sotw: `${service}/StreamAggregatedResources`,
  delta: `${service}/DeltaAggregatedResources`,
}

const channelOptions = {
  // A peer that vanished is noticed within 20 s. grpc-js doubles the interval when a server finds that too much.
  'grpc.keepalive_time_ms': 15_000,
  'grpc.keepalive_timeout_ms': 5_000,
  // The endpoints of hundreds of clusters do not fit in gRPC's 4 MiB.
  'grpc.max_receive_message_length': 128 * 1024 * 1024,
  'grpc.enable_retries': 0,
  'grpc.service_config_disable_resolution': 1,
  // How long to wait is decided by who opens the streams, not by connections left over from the last try.
  'grpc.use_local_subchannel_pool': 1,
} as const

/**
 * The {@link AdsTransport} over grpc-js. The library and the generated types are loaded when the first stream is opened, so that
 * a process that starts from its cache pays for neither. One connection, made anew after a stream that brought nothing.
 */
export class GrpcAdsTransport implements AdsTransport {
  readonly #server: XdsServer
  #client: Client | undefined

  constructor(server: XdsServer) {
    this.#server = server
  }

  open(protocol: XdsProtocol, handler: AdsStreamHandler): AdsStream {
    return new GrpcAdsStream(
      protocol,
      handler,
      grpc => this.#connect(grpc),
      () => this.close(),
    )
  }

  close(): void {
    this.#client?.close()
    this.#client = undefined
  }

  #connect(grpc: Grpc): Client {
    const { uri, credentials } = this.#server
    this.#client ??= new grpc.Client(uri, channelCredentials(grpc, credentials), channelOptions)
    return this.#client
  }
}

class GrpcAdsStream implements AdsStream {
  readonly #handler: AdsStreamHandler
  readonly #protocol: XdsProtocol
  /** Gives up the connection. */
  readonly #discard: () => void
  /** What was to be sent before there was a call. */
  #waiting: { readonly request: AdsRequest; readonly node: XdsNode | undefined }[] = []
  #call: { readonly stream: ClientDuplexStream<Uint8Array, Uint8Array>; readonly codec: Codec } | undefined
  #isOver = false

  constructor(protocol: XdsProtocol, handler: AdsStreamHandler, connect: (grpc: Grpc) => Client, discard: () => void) {
    this.#protocol = protocol
    this.#handler = handler
    this.#discard = discard
    this.#run(connect).catch((error: unknown) => this.#end(statusOf(error), false))
  }

  send(request: AdsRequest, node: XdsNode | undefined): void {
    if (this.#isOver) return
    if (this.#call) this.#call.stream.write(this.#call.codec.encodeRequest(request, node))
    else this.#waiting.push({ request, node })
  }

  cancel(): void {
    this.#isOver = true
    this.#waiting = []
    this.#call?.stream.cancel()
  }

  async #run(connect: (grpc: Grpc) => Client): Promise<void> {
    const [grpc, codec] = await Promise.all([import('@grpc/grpc-js'), import('./discovery-codec.ts')])
    if (this.#isOver) return
    const client = connect(grpc)
    const identity = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    // Responses stay bytes here: one that cannot be parsed must end in an error that says so.
    const stream = client.makeBidiStreamRequest<Uint8Array, Uint8Array>(methods[this.#protocol], identity, bytes => bytes)
    this.#call = { stream, codec }
    for (const { request, node } of this.#waiting) stream.write(codec.encodeRequest(request, node))
    this.#waiting = []
    this.#awaitConnection(client.getChannel(), grpc.connectivityState.READY)
    await this.#read(stream, codec)
  }

  async #read(stream: AsyncIterable<Uint8Array>, codec: Codec): Promise<void> {
    let answered = false
    try {
      for await (const bytes of stream) {
        if (this.#isOver) return
        answered = true
        await this.#handler.onResponse(codec.decodeResponse(this.#protocol, bytes))
      }
      this.#end({ code: 0, message: '' }, answered)
    } catch (error) {
      this.#end(statusOf(error), answered)
    }
  }

  #awaitConnection(channel: ReturnType<Client['getChannel']>, ready: number): void {
    const look = () => {
      if (this.#isOver) return
      const state = channel.getConnectivityState(false)
      if (state === ready) {
        // Never from within `open`.
        queueMicrotask(() => {
          if (!this.#isOver) this.#handler.onConnected()
        })
        return
      }
      channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, error => {
        if (!error) look()
      })
    }
    look()
  }

  #end(status: AdsStreamStatus, answered: boolean): void {
    if (this.#isOver) return
    this.cancel()
    // grpc-js would keep to its own idea of when to connect again.
    if (!answered) this.#discard()
    this.#handler.onEnd(status)
  }
}

function channelCredentials(grpc: Grpc, credentials: XdsCredentials): ChannelCredentials {
  if (credentials.kind === 'insecure') return grpc.credentials.createInsecure()
  const { caCertificateFile, identity } = credentials
  return grpc.credentials.createSsl(
    caCertificateFile === undefined ? null : readFileSync(caCertificateFile),
    identity ? readFileSync(identity.privateKeyFile) : null,
    identity ? readFileSync(identity.certificateFile) : null,
  )
}

function statusOf(error: unknown): AdsStreamStatus {
  if (isServiceError(error)) return { code: error.code, message: plainReason(error.details || error.message) }
  return { code: 13, message: error instanceof Error ? error.message : String(error) }
}

/** Takes the system's own words out of those that grpc-js puts around them. */
function plainReason(details: string): string {
  return /^No connection established\. Last error: (?:Error: )?(.*)\. Resolution note:/s.exec(details)?.[1] ?? details
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error
}
