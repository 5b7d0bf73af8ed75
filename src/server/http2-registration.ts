import type { Http2Server, ServerHttp2Session } from 'node:http2'
import { followServer } from './adopt-http2-servers.ts'
import type { DrainOptions, ListeningWorkload, ServerEnvironment } from './mesh-server.ts'
import { OpenSockets } from './open-sockets.ts'
import { ServerGate } from './server-gate.ts'
import { workloadAddress } from './workload-address.ts'

/** Follows an HTTP/2 server, also the one under a gRPC server that the mesh did not bind: registered while it listens, taken out when it is drained. */
export class Http2Registration {
  readonly #server: Http2Server
  readonly #environment: ServerEnvironment
  readonly #sessions = new Set<ServerHttp2Session>()
  readonly #sockets: OpenSockets
  readonly #gate: ServerGate | null
  #workload: ListeningWorkload | null = null

  /** @param server listens */
  constructor(server: Http2Server, environment: ServerEnvironment) {
    this.#server = server
    this.#environment = environment
    const bound = server.address()
    if (bound !== null && typeof bound !== 'string') {
      this.#workload = { address: workloadAddress(bound, environment.address), port: bound.port, protocol: protocolOf(server) }
      environment.registrar?.register(this.#workload)
    }
    followServer(server, environment.inbound)
    this.#sockets = new OpenSockets(server)
    this.#gate = environment.gate && new ServerGate(server, environment.gate)
    server.on('session', session => {
      this.#sessions.add(session)
      session.once('close', () => this.#sessions.delete(session))
    })
    server.once('close', () => this.withdraw())
  }

  /** Out of the mesh, and no more. */
  withdraw(): void {
    if (this.#workload === null) return
    this.#environment.registrar?.deregister(this.#workload)
    this.#workload = null
  }

  /** Out of the mesh; then no new connections, and a GOAWAY on each; closed when the calls in flight are answered or the deadline is past. */
  async drain({ propagationMs = 1000, deadlineMs = 30_000 }: DrainOptions = {}): Promise<void> {
    const { clock } = this.#environment
    this.withdraw()
    if (!this.#server.listening) return
    await new Promise<void>(resolve => void clock.setTimeout(resolve, propagationMs, true))
    if (!this.#server.listening) return
    const closed = new Promise<void>(resolve => void this.#server.once('close', resolve))
    this.#server.close()
    this.#gate?.endWaiting()
    for (const session of this.#sessions) session.close()
    const deadline = clock.setTimeout(() => this.#sockets.destroyAll(), deadlineMs)
    await closed
    deadline.cancel()
  }
}

/** grpc-js takes streams; only an application of HTTP takes requests. */
function protocolOf(server: Http2Server): ListeningWorkload['protocol'] {
  return server.listenerCount('request') > 0 ? 'http2' : 'grpc'
}
