import { once } from 'node:events'
import { type IncomingMessage, type RequestListener, request as send } from 'node:http'
import { type ClientHttp2Session, connect } from 'node:http2'
import { type AddressInfo, connect as connectPlain, type Server as NetServer, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import type { Logger } from '../../src/runtime.ts'
import type { WorkloadIdentity } from '../../src/security/certificate-provider.ts'
import { Identities } from '../../src/security/identities.ts'
import { authoritiesOf, ownCertificate } from '../../src/security/tls-material.ts'
import type { AuthorizerCalls } from '../../src/server/authorizer-calls.ts'
import { DownstreamSecurity } from '../../src/server/downstream-security.ts'
import { filterFactories } from '../../src/server/filter-factories.ts'
import { Inbound } from '../../src/server/inbound.ts'
import { createMeshServer, type ServerEnvironment } from '../../src/server/mesh-server.ts'
import { RequestGate } from '../../src/server/request-gate.ts'
import { MeshTelemetry } from '../../src/telemetry/create-telemetry.ts'
import { FakeCertificateProvider } from './fake-certificate-provider.ts'
import { FakeConfigSource } from './fake-config-source.ts'
import { ManualClock } from './manual-clock.ts'
import { seededRandom } from './seeded-random.ts'

const noCalls: AuthorizerCalls = {
  unary: () => Promise.reject(new Error('nobody is there')),
  http: () => Promise.reject(new Error('nobody is there')),
}

interface GateOptions {
  readonly requiresListener?: boolean
  readonly calls?: AuthorizerCalls
  readonly maxWaiting?: number
}

/** What a server of the mesh runs in, with a listener named `server` that the test sets. */
export function gateEnvironment(
  identity: WorkloadIdentity | undefined,
  { requiresListener = true, calls = noCalls, maxWaiting }: GateOptions = {},
) {
  const clock = new ManualClock(Date.now())
  const source = new FakeConfigSource()
  source.inboundName = () => 'server'
  const provider = new FakeCertificateProvider(identity)
  const identities = new Identities(new Map([['default', provider]]))
  const told: string[] = []
  const warned: string[] = []
  const tell = (message: string) => void told.push(message)
  const warn = (message: string) => {
    warned.push(message)
    tell(message)
  }
  const logger: Logger = { debug: tell, info: tell, warn, error: warn }
  const random = seededRandom(1)
  const telemetry = new MeshTelemetry({ service: 'a', runtime: { clock, random } })
  const requests = new RequestGate(random, logger)
  const security = new DownstreamSecurity(clock, identities)
  const inbound = new Inbound(telemetry, requests)
  const factories = filterFactories({ clock, random, calls: () => calls })
  const environment: ServerEnvironment = {
    inbound,
    clock,
    registrar: null,
    address: undefined,
    gate: {
      clock,
      logger,
      source,
      security,
      requests,
      telemetry,
      requiresListener,
      factories,
      ...(maxWaiting === undefined ? undefined : { maxWaiting }),
    },
  }
  return { environment, clock, source, provider, told, warned, telemetry }
}

/** Listens on a free port, and is closed with the test. */
export async function listen(t: TestContext, server: NetServer): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    if ('closeAllConnections' in server && typeof server.closeAllConnections === 'function') server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** A `node:http` server of the mesh behind a gate. */
export async function startGated(
  t: TestContext,
  app: RequestListener,
  identity: WorkloadIdentity | undefined,
  options?: GateOptions,
) {
  const world = gateEnvironment(identity, options)
  const server = createMeshServer(app, world.environment)
  const port = await listen(t, server)
  return { ...world, server, port }
}

/** TLS options of a workload that calls. */
export function clientTls(identity: WorkloadIdentity | undefined, roots: WorkloadIdentity): ConnectionOptions {
  return {
    host: '127.0.0.1',
    ca: authoritiesOf(roots),
    checkServerIdentity: () => undefined,
    ...(identity === undefined ? undefined : ownCertificate(identity)),
  }
}

/** A connection after its handshake. Rejects when the server refuses it, which TLS 1.3 tells after the handshake. */
export async function secured(t: TestContext, port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connectTls({ ALPNProtocols: ['http/1.1'], ...options, port })
  t.after(() => socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

/** A plain connection. */
export async function plain(t: TestContext, port: number) {
  const socket = connectPlain(port, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

/** Sends a request on a connection. */
export async function requestOn(
  socket: Socket,
  path = '/',
  headers: Readonly<Record<string, string | readonly string[]>> = {},
  method = 'GET',
): Promise<{ readonly response: IncomingMessage; readonly body: string }> {
  const sent = send({
    createConnection: () => socket,
    path,
    method,
    headers: { host: 'a', connection: 'keep-alive', ...headers },
  })
  sent.end()
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  return { response, body: await text(response) }
}

/** An HTTP/2 session over a connection. */
export function http2On(t: TestContext, socket: Socket, scheme = 'https'): ClientHttp2Session {
  const session = connect(`${scheme}://a`, { createConnection: () => socket })
  session.on('error', () => {})
  t.after(() => session.destroy())
  return session
}
