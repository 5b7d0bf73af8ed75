import type { RequestListener, Server } from 'node:http'
import { createServer } from '../node-http.ts'
import type { Clock } from '../runtime.ts'
import type { Inbound } from './inbound.ts'
import { OpenSockets } from './open-sockets.ts'
import { ServerGate, type ServerGateEnvironment } from './server-gate.ts'
import { workloadAddress } from './workload-address.ts'

/** Where a server is reached. */
export interface ListeningWorkload {
  readonly address: string
  readonly port: number
  readonly protocol: 'http' | 'http2' | 'grpc'
}

/** Tells the control plane what this process serves. */
export interface WorkloadRegistrar {
  register(workload: ListeningWorkload): void
  deregister(workload: ListeningWorkload): void
}

/** What servers of a mesh share. */
export interface ServerEnvironment {
  readonly inbound: Inbound
  readonly clock: Clock
  readonly registrar: WorkloadRegistrar | null
  /** `null`: servers are not configured, and take every connection. */
  readonly gate: ServerGateEnvironment | null
  /** `INMESH_ADDRESS`. */
  readonly address: string | undefined
}

/** How a server is drained. */
export interface DrainOptions {
  /** Time for the others to hear that this workload is gone, before it refuses connections; default 1,000. */
  readonly propagationMs?: number
  /** Longest wait for what is in flight; default 30,000. */
  readonly deadlineMs?: number
}

/** Idle connections outlive those of the clients, so that no request meets a connection that is being closed. */
const keepAliveTimeoutMs = 75_000

/** Follows a server: registers it when it listens, and takes it out when it closes. */
export class ServerRegistration {
  readonly #server: Server
  readonly #environment: ServerEnvironment
  readonly #gate: ServerGate | null
  readonly #sockets: OpenSockets
  #workload: ListeningWorkload | null = null
  #draining: Promise<void> | null = null

  constructor(server: Server, environment: ServerEnvironment) {
    this.#server = server
    this.#environment = environment
    // 0 is the longest there is.
    if (server.keepAliveTimeout !== 0) server.keepAliveTimeout = Math.max(server.keepAliveTimeout, keepAliveTimeoutMs)
    if (server.listening) this.#register()
    server.on('listening', () => this.#register())
    this.#sockets = new OpenSockets(server)
    this.#gate = environment.gate && new ServerGate(server, environment.gate)
    server.on('close', () => this.#deregister())
  }

  /** Out of the mesh, and no more. */
  withdraw(): void {
    this.#deregister()
  }

  /** Out of the mesh; then no new connections, and none kept alive; then, when all is answered or the deadline is past, closed. */
  drain(options: DrainOptions = {}): Promise<void> {
    this.#draining ??= this.#drain(options)
    return this.#draining
  }

  async #drain({ propagationMs = 1000, deadlineMs = 30_000 }: DrainOptions): Promise<void> {
    const { clock, inbound } = this.#environment
    this.#deregister()
    if (!this.#server.listening) return
    await new Promise<void>(resolve => void clock.setTimeout(resolve, propagationMs))
    inbound.drain()
    // The application may have closed it meanwhile.
    if (!this.#server.listening) return
    const closed = new Promise<void>(resolve => void this.#server.once('close', resolve))
    this.#server.close()
    this.#gate?.endWaiting()
    this.#server.closeIdleConnections()
    const deadline = clock.setTimeout(() => {
      this.#server.closeAllConnections()
      this.#sockets.destroyAll()
    }, deadlineMs)
    await closed
    deadline.cancel()
  }

  #register(): void {
    const bound = this.#server.address()
    // A Unix socket is nothing that others reach.
    if (this.#workload !== null || bound === null || typeof bound === 'string') return
    const address = workloadAddress(bound, this.#environment.address)
    this.#workload = { address, port: bound.port, protocol: 'http' }
    this.#environment.registrar?.register(this.#workload)
  }

  #deregister(): void {
    if (this.#workload === null) return
    this.#environment.registrar?.deregister(this.#workload)
    this.#workload = null
  }
}

/** A `node:http` server of the mesh. */
export interface MeshServer extends Server {
  /** Takes the workload out of the mesh, lets what is in flight finish, and closes. */
  drain(options?: DrainOptions): Promise<void>
}

/**
 * Makes an HTTP server whose requests run inside their trace; it registers itself while it listens. `app` is any request listener; when it
 * throws or rejects, the caller gets 500 and the error is logged.
 */
export function createMeshServer(
  app: RequestListener,
  environment: ServerEnvironment,
  onError?: (error: unknown) => void,
): MeshServer {
  const { inbound } = environment
  const server = createServer((request, response) => inbound.serve(request, response, () => app(request, response), onError))
  const registration = new ServerRegistration(server, environment)
  expectContinue(server, inbound, app, onError)
  return Object.assign(server, { drain: (options?: DrainOptions) => registration.drain(options) })
}

/** Nobody is told to go on who is not let in: Node would do so by itself before it emits the request. */
function expectContinue(
  server: Server,
  inbound: Inbound,
  app: RequestListener,
  onError: ((error: unknown) => void) | undefined,
): void {
  server.on('checkContinue', (request, response) => {
    const handle = () => {
      response.writeContinue()
      return app(request, response)
    }
    inbound.serve(request, response, handle, onError)
  })
}
