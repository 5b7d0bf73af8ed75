import type { Http2Server } from 'node:http2'
import type { Server, ServerCredentials, ServerMetricRecorder } from '@grpc/grpc-js'
import type { MeshTelemetry } from '../telemetry/create-telemetry.ts'
import { adoptHttp2Servers, claimServers } from './adopt-http2-servers.ts'
import { HealthService } from './grpc-health.ts'
import type { DrainOptions, ListeningWorkload, ServerEnvironment } from './mesh-server.ts'
import { OpenSockets } from './open-sockets.ts'
import { ServerGate } from './server-gate.ts'
import { workloadAddress } from './workload-address.ts'

export type { Server as GrpcServer } from '@grpc/grpc-js'

/** Options of {@link serveGrpc}. */
export interface ServeGrpcOptions {
  /** Default 0: any. */
  readonly port?: number
  /** Default `0.0.0.0`. */
  readonly host?: string
  /** Default: plaintext. */
  readonly credentials?: ServerCredentials
  /** Serves {@link GrpcWorkload.loadMetrics} to callers that balance by load (ORCA out of band, gRFC A51). Default false. */
  readonly reportsLoad?: boolean
}

/** A gRPC server of the mesh. */
export interface GrpcWorkload extends AsyncDisposable {
  readonly port: number
  /**
   * What callers are told of the load of this process, with `reportsLoad`; else `null`. What a single call cost, a handler tells by
   * `call.getMetricsRecorder()` of grpc-js, of a server that was made with `grpc.server_call_metric_recording: 1`.
   */
  readonly loadMetrics: ServerMetricRecorder | null
  /** The health that `grpc.health.v1.Health` tells; the empty name is the server's own. */
  setServingStatus(service: string, status: 'SERVING' | 'NOT_SERVING'): void
  /** Takes the workload out of the mesh, lets the calls in flight finish, and shuts the server down. */
  drain(options?: DrainOptions): Promise<void>
}

type Grpc = typeof import('@grpc/grpc-js')

/**
 * Binds a server of grpc-js and puts it into the mesh: its calls run inside their trace, it registers itself, and it answers
 * `grpc.health.v1.Health`, unless the application does.
 *
 * @throws Error when the address cannot be bound
 */
export async function serveGrpc(
  server: Server,
  { port = 0, host = '0.0.0.0', credentials, reportsLoad = false }: ServeGrpcOptions,
  environment: ServerEnvironment,
  telemetry: MeshTelemetry,
  grpc: Grpc,
): Promise<GrpcWorkload> {
  adoptHttp2Servers({ telemetry })
  const health = new HealthService()
  health.addTo(server)
  const loadMetrics = reportsLoad ? new grpc.ServerMetricRecorder() : null
  loadMetrics?.addToServer(server)
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`
  const servers: Http2Server[] = []
  const bound = await new Promise<number>((resolve, reject) => {
    const onBound = (error: Error | null, port: number) => (error === null ? resolve(port) : reject(error))
    const bind = () => server.bindAsync(address, credentials ?? grpc.ServerCredentials.createInsecure(), onBound)
    claimServers(listening => servers.push(listening), bind)
  })
  const reachable = workloadAddress({ address: host, port: bound, family: '' }, environment.address)
  const workload: ListeningWorkload = { address: reachable, port: bound, protocol: 'grpc' }
  environment.registrar?.register(workload)
  const { gate } = environment
  const sockets = servers.map(each => new OpenSockets(each))
  const gates = gate === null ? [] : servers.map(each => new ServerGate(each, gate))
  let draining: Promise<void> | null = null
  const drain = (options?: DrainOptions) => {
    draining ??= drainGrpc(server, health, workload, gates, sockets, environment, options)
    return draining
  }
  return {
    port: bound,
    loadMetrics,
    setServingStatus: (service, status) => health.set(service, status),
    drain,
    [Symbol.asyncDispose]: () => drain(),
  }
}

async function drainGrpc(
  server: Server,
  health: HealthService,
  workload: ListeningWorkload,
  gates: readonly ServerGate[],
  sockets: readonly OpenSockets[],
  { registrar, clock }: ServerEnvironment,
  { propagationMs = 1000, deadlineMs = 30_000 }: DrainOptions = {},
): Promise<void> {
  registrar?.deregister(workload)
  health.drain()
  await new Promise<void>(resolve => void clock.setTimeout(resolve, propagationMs, true))
  health.close()
  for (const gate of gates) gate.endWaiting()
  // GOAWAY on every connection; calls in flight go on.
  const ended = new Promise<void>(resolve => server.tryShutdown(() => resolve()))
  const deadline = clock.setTimeout(() => {
    server.forceShutdown()
    for (const each of sockets) each.destroyAll()
  }, deadlineMs)
  await ended
  deadline.cancel()
}
