import type { Server } from 'node:http'
import type { Http2Server } from 'node:http2'
import { adoptGrpcClients } from './client/grpc/adopt-clients.ts'
import { setDispatcher } from './client/http/global-dispatcher.ts'
import { createMesh, type Mesh } from './client/mesh.ts'
import { isMeshError } from './errors.ts'
import { isSdkWanted } from './otel-environment.ts'
import { systemRuntime } from './runtime.ts'
import { adoptServers } from './server/adopt-servers.ts'
import type { Http2Registration } from './server/http2-registration.ts'
import type { ServerRegistration } from './server/mesh-server.ts'
import { accessLogFrom } from './telemetry/access-log.ts'
import { MeshTelemetry } from './telemetry/create-telemetry.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Longest wait for calls that are still in flight when the servers are gone: those of a background task may have no end. */
const closeTimeoutMs = 2_000

/** What {@link install} has put in place. */
export interface Installation {
  readonly mesh: Mesh
  /** Takes the process's servers out of the mesh, lets them finish, exports what is left and closes. */
  end(): Promise<void>
}

/**
 * Makes a mesh from the environment and puts the process into it: the global dispatcher (and with it the built-in `fetch`), its servers of
 * HTTP, and the OpenTelemetry SDK when `OTEL_*` asks for one. The server that listens on `INMESH_PORT`, or else the first that
 * listens, is registered as `INMESH_SERVICE`. Does nothing when `INMESH_DISABLED` is set.
 *
 * @throws MeshError as {@link createMesh} does, except that a host without configuration does not keep the application from starting
 */
export async function install(env: Environment): Promise<Installation | null> {
  if (env.INMESH_DISABLED === '1' || env.INMESH_DISABLED === 'true') return null
  const telemetry = new MeshTelemetry({
    service: env.INMESH_SERVICE || env.OTEL_SERVICE_NAME || '',
    runtime: systemRuntime,
    accessLog: accessLogFrom(env.INMESH_ACCESS_LOG),
  })
  // Before anything else can load grpc-js, exporters of OpenTelemetry among it.
  const grpc = adoptGrpc(env)
  const loading = isSdkWanted(env) ? import('./otel.ts') : null
  const mesh = await startMesh(env, telemetry)
  const servers = new Servers(mesh, env.INMESH_PORT)
  const adopted = adoptServers({
    inbound: mesh.inbound,
    onListening: server => servers.add(server),
    onListeningHttp2: server => servers.addHttp2(server),
  })
  grpc.begin(mesh)
  const otel = await loading
  const sdk = otel === null ? null : adopted.except(() => otel.startOtel({ telemetry, env }))
  setDispatcher(mesh.dispatcher)
  const flush = async () => {
    telemetry.flush()
    await sdk?.shutdown()
  }
  const end = async () => {
    await servers.drain()
    await flush()
    const late = new Promise<void>(resolve => void systemRuntime.clock.setTimeout(resolve, closeTimeoutMs, true))
    await Promise.race([mesh.close(), late])
  }
  // A program that runs to its end exports what it did.
  process.once('beforeExit', () => void flush())
  process.once('exit', () => telemetry.flush())
  endOnSignal(end, () => servers.withdraw())
  return { mesh, end }
}

/** Puts the clients of grpc-js into the mesh, once there is one. */
function adoptGrpc(env: Environment): { begin(mesh: Mesh): void } {
  const exporters = exportTargets(env)
  let running: Mesh | null = null
  adoptGrpcClients((target, credentials, options) => {
    if (running === null || exporters.has(target) || !running.isMeshTarget(target)) return null
    return running.channel(target, { credentials, options })
  })
  return {
    begin(mesh) {
      running = mesh
    },
  }
}

/** Where telemetry is exported to by gRPC: never through the mesh that it tells of. */
function exportTargets(env: Environment): ReadonlySet<string> {
  const names = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_METRICS_ENDPOINT']
  return new Set(names.flatMap(name => env[name]?.replace(/^https?:\/\//, '').replace(/\/.*$/, '') ?? []))
}

/** Waiting for a host that has no configuration would be worse than starting without it: it can come at any time. */
async function startMesh(env: Environment, telemetry: MeshTelemetry): Promise<Mesh> {
  try {
    return await createMesh({ env, telemetry })
  } catch (error) {
    if (!isMeshError(error) || error.code !== 'MESH_ERR_CONFIG_TIMEOUT') throw error
    systemRuntime.logger.warn(error.message)
    return createMesh({ env, telemetry, waitsForHosts: false })
  }
}

/** The servers of the process, of which one is the workload. */
class Servers {
  readonly #mesh: Mesh
  readonly #port: number | undefined
  readonly #registrations = new Map<Server, ServerRegistration>()
  readonly #http2 = new Map<Http2Server, Http2Registration>()

  /** @param port `INMESH_PORT` */
  constructor(mesh: Mesh, port: string | undefined) {
    this.#mesh = mesh
    this.#port = port === undefined || port === '' ? undefined : Number(port)
  }

  add(server: Server): void {
    const bound = server.address()
    if (bound === null || typeof bound === 'string' || this.#registrations.has(server)) return
    if (this.#isWorkload(bound.port)) this.#registrations.set(server, this.#mesh.adopt(server))
  }

  addHttp2(server: Http2Server): void {
    const bound = server.address()
    if (bound === null || typeof bound === 'string' || this.#http2.has(server)) return
    if (this.#isWorkload(bound.port)) this.#http2.set(server, this.#mesh.adoptHttp2(server))
  }

  async drain(): Promise<void> {
    const registrations = [...this.#registrations.values(), ...this.#http2.values()]
    await Promise.all(registrations.map(registration => registration.drain()))
  }

  /** Out of the mesh, and no more. */
  withdraw(): void {
    for (const registration of [...this.#registrations.values(), ...this.#http2.values()]) registration.withdraw()
  }

  #isWorkload(port: number): boolean {
    return this.#port === undefined ? this.#registrations.size + this.#http2.size === 0 : port === this.#port
  }
}

/**
 * Ends the process in order on SIGTERM, and at once on a second one; the exit is that of the signal, as it would be without the mesh. An
 * application with a handler of its own decides itself: then the process only leaves the mesh.
 */
function endOnSignal(end: () => Promise<void>, withdraw: () => void): void {
  let isEnding = false
  const die = () => {
    process.removeListener('SIGTERM', onSignal)
    process.kill(process.pid, 'SIGTERM')
  }
  const onSignal = () => {
    if (process.listenerCount('SIGTERM') > 1) {
      withdraw()
    } else if (isEnding) {
      die()
    } else {
      isEnding = true
      void end().finally(die)
    }
  }
  process.on('SIGTERM', onSignal)
}
