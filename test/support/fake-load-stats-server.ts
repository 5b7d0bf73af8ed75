import { EventEmitter, once } from 'node:events'
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js'
import {
  type LoadStatsRequest,
  LoadStatsRequestSchema,
  LoadStatsResponseSchema,
} from '../../src/discovery/gen/envoy/service/load_stats/v3/lrs_pb.ts'

type Call = ServerDuplexStream<Uint8Array, Uint8Array>

const identity = (bytes: Uint8Array) => Buffer.from(bytes)
const method = {
  path: '/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats',
  requestStream: true,
  responseStream: true,
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
}

/** A control plane that takes load reports on a real socket, records them, and answers as the test says. */
export class FakeLoadStatsServer {
  /** Every request, in order. */
  readonly requests: LoadStatsRequest[] = []
  /** Streams ever opened. */
  streams = 0
  readonly #nodeIds = new WeakMap<LoadStatsRequest, string>()
  /** With the id of the node, once that is known. */
  readonly #calls = new Map<Call, string>()
  readonly #events = new EventEmitter()

  constructor() {
    this.#events.setMaxListeners(0)
  }

  /** A server of nothing else; ends with the test. Gives its address as well. */
  static async start(t: {
    after(end: () => void): void
  }): Promise<{ readonly fake: FakeLoadStatsServer; readonly target: string }> {
    const fake = new FakeLoadStatsServer()
    const server = new Server()
    fake.addTo(server)
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      )
    })
    t.after(() => server.forceShutdown())
    return { fake, target: `127.0.0.1:${port}` }
  }

  /** Adds the service to a server. */
  addTo(server: Server): void {
    server.addService({ StreamLoadStats: method }, { StreamLoadStats: (call: Call) => this.#onCall(call) })
  }

  /** Streams open now. */
  get openStreams(): number {
    return this.#calls.size
  }

  /** Tells every stream what is wanted. */
  send(response: MessageInitShape<typeof LoadStatsResponseSchema>): void {
    const bytes = toBinary(LoadStatsResponseSchema, create(LoadStatsResponseSchema, response))
    for (const call of this.#calls.keys()) call.write(bytes)
  }

  /** The request with this number, from 0, past or to come. */
  async request(index: number): Promise<LoadStatsRequest> {
    for (;;) {
      const found = this.requests[index]
      if (found) return found
      await once(this.#events, 'request')
    }
  }

  /** The first request of this node, past or to come, that `matches`. Only the first of a stream says whose it is. */
  async requestOf(nodeId: string, matches: (request: LoadStatsRequest) => boolean = () => true): Promise<LoadStatsRequest> {
    for (;;) {
      const found = this.requests.find(request => this.#nodeIds.get(request) === nodeId && matches(request))
      if (found) return found
      await once(this.#events, 'request')
    }
  }

  /** Waits until no stream is open, or none of this node. */
  async idle(nodeId?: string): Promise<void> {
    while ([...this.#calls.values()].some(id => id === (nodeId ?? id))) await once(this.#events, 'end')
  }

  #onCall(call: Call): void {
    this.streams++
    this.#calls.set(call, '')
    const over = () => {
      if (this.#calls.delete(call)) this.#events.emit('end')
    }
    call.on('data', (bytes: Uint8Array) => {
      const request = fromBinary(LoadStatsRequestSchema, bytes)
      const nodeId = request.node?.id ?? this.#calls.get(call) ?? ''
      if (this.#calls.has(call)) this.#calls.set(call, nodeId)
      this.#nodeIds.set(request, nodeId)
      this.requests.push(request)
      this.#events.emit('request')
    })
    call.on('error', over)
    call.on('cancelled', over)
    call.on('end', () => {
      over()
      call.end()
    })
  }
}
