import type { Http2Server, ServerHttp2Session } from 'node:http2'
import type { DrainOptions, ListeningWorkload, ServerEnvironment } from './mesh-server.ts'
import { ServerGate } from './server-gate.ts'
import { workloadAddress } from './workload-address.ts'

/** Follows the HTTP/2 server of a gRPC server that the mesh did not bind: registered while it listens, taken out when it is drained. */
export class GrpcRegistration {
  readonly #server: Http2Server
  readonly #environment: ServerEnvironment
  readonly #sessions = new Set<ServerHttp2Session>()
  readonly #gate: ServerGate | null
  #workload: ListeningWorkload | null = null

  /** @param server listens */
  constructor(server: Http2Server, environment: ServerEnvironment) {
    this.#server = server
    this.#environment = environment
    const bound = server.address()
    if (bound !== null && typeof bound !== 'string') {
      this.#workload = { address: workloadAddress(bound, environment.address), port: bound.port, protocol: 'grpc' }
      environment.registrar?.register(this.#workload)
    }
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
    const deadline = clock.setTimeout(() => {
      for (const session of this.#sessions) session.destroy()
    }, deadlineMs)
    await closed
    deadline.cancel()
  }
}
