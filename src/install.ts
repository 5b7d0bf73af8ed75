import { IncomingMessage, Server, ServerResponse } from 'node:http'
import { setDispatcher } from './client/http/global-dispatcher.ts'
import { createMesh, type Mesh } from './client/mesh.ts'
import { systemClock } from './runtime.ts'
import type { ServerRegistration } from './server/mesh-server.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Makes a mesh from the environment and puts the process into it: the global dispatcher (and with it the built-in `fetch`), every
 * `node:http` server, and the OpenTelemetry SDK when `OTEL_*` asks for one. Does nothing when `INMESH_DISABLED` is set, and never keeps the
 * application from starting: without a usable configuration it starts outside the mesh, with a warning.
 */
export async function install(env: Environment): Promise<Mesh | null> {
  if (env.INMESH_DISABLED === '1' || env.INMESH_DISABLED === 'true') return null
  const mesh = await createMesh({ env })
  setDispatcher(mesh.dispatcher)
  const servers = adoptServers(mesh)
  const sdk = await startTelemetry(mesh, env)
  const end = async () => {
    await Promise.all(servers.map(server => server.drain()))
    await sdk?.shutdown()
    await mesh.close()
  }
  // An application with a handler of its own decides itself when it ends.
  process.once('SIGTERM', () => {
    if (process.listenerCount('SIGTERM') > 0) return
    void end().finally(() => process.exit(0))
  })
  return mesh
}

/** From now on every server of the process is registered while it listens, and its requests run inside their trace. */
function adoptServers(mesh: Mesh): ServerRegistration[] {
  const adopted = new WeakSet<Server>()
  const registrations: ServerRegistration[] = []
  const { emit } = Server.prototype
  Server.prototype.emit = function (this: Server, event: string | symbol, ...args: unknown[]): boolean {
    if (event === 'listening' && !adopted.has(this)) {
      adopted.add(this)
      registrations.push(mesh.adopt(this))
    }
    const [request, response] = args
    const goOn = () => Reflect.apply(emit, this, [event, ...args])
    if (event !== 'request' || !(request instanceof IncomingMessage) || !(response instanceof ServerResponse)) return goOn()
    mesh.inbound.serve(request, response, goOn)
    return true
  }
  return registrations
}

async function startTelemetry(mesh: Mesh, env: Environment) {
  if (mesh.telemetry === null) return null
  const { isOtelWanted, startSdk } = await import('./otel.ts')
  if (!isOtelWanted(env)) return null
  const { MeshMetricProducer } = await import('./metric-producer.ts')
  return startSdk(env, new MeshMetricProducer(mesh.telemetry, systemClock))
}
