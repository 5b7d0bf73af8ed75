import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, describe, type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { type ClientOptions, type Server, ServerCredentials } from '@grpc/grpc-js'
import { createMesh, type Mesh } from '../../src/index.ts'
import { silentLogger } from '../../src/runtime.ts'
import { startUpstream } from '../support/http-upstream.ts'
import { TestCa } from '../support/test-ca.ts'
import { serveYaml } from './support/control-plane.ts'
import { goInteropClient, startCompressingServer, startGoInteropServer } from './support/go-server.ts'
import { type GrpcTesting, loadGrpcTesting } from './support/grpc-testing.ts'
import {
  basicCases,
  compressionCases,
  credentialCases,
  type InteropCase,
  type InteropConnection,
  loadReportCases,
} from './support/interop-cases.ts'
import { interopServer, type TokenOwner } from './support/interop-server.ts'

const authority = 'interop.test:50051'
let testing: GrpcTesting

/** What the control plane makes of a service of the mesh, with Istio's default retries. */
async function meshByControlPlane(t: TestContext, port: number): Promise<Mesh> {
  const { xdsAddress } = await serveYaml(
    t,
    `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: interop, namespace: default }
spec:
  hosts: [interop.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 50051, name: grpc, protocol: GRPC }]
  endpoints: [{ address: 127.0.0.1, ports: { grpc: ${port} } }]
`,
  )
  const server = { server_uri: xdsAddress, channel_creds: [{ type: 'insecure' }] }
  return openMesh(t, { bootstrap: { xds_servers: [server], node: { id: 'interop' } } })
}

/** A mesh by a file of Envoy resources; `cluster` has the fields beside those of any. */
async function meshByFile(t: TestContext, port: number, cluster: Readonly<Record<string, unknown>> = {}): Promise<Mesh> {
  const folder = await mkdtemp(join(tmpdir(), 'inmesh-interop-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const manager = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    route_config: {
      name: 'interop',
      virtual_hosts: [{ name: 'interop', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'interop' } }] }],
    },
    http_filters: [
      { name: 'router', typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' } },
    ],
  }
  const address = { socket_address: { address: '127.0.0.1', port_value: port } }
  const config = {
    listeners: [{ name: authority, api_listener: { api_listener: manager } }],
    clusters: [
      {
        name: 'interop',
        type: 'STATIC',
        load_assignment: { cluster_name: 'interop', endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
        ...cluster,
      },
    ],
  }
  const staticConfig = join(folder, 'mesh.json')
  await writeFile(staticConfig, JSON.stringify(config))
  return openMesh(t, { staticConfig })
}

async function openMesh(t: TestContext, options: Parameters<typeof createMesh>[0]): Promise<Mesh> {
  const mesh = await createMesh({ ...options, env: {}, runtime: { logger: silentLogger } })
  t.after(() => mesh.close())
  return mesh
}

/** Clients through `mesh`, closed with the test. */
function connectionOf(t: TestContext, mesh: Mesh): InteropConnection {
  const closing = <C extends { close(): void }>(client: C) => {
    t.after(() => client.close())
    return client
  }
  const target = `xds:///${authority}`
  return {
    test: (options: ClientOptions = {}) => closing(mesh.grpcClient(testing.TestServiceClient, target, options)),
    channel: () => closing(mesh.channel(target)),
    unimplemented: () => closing(mesh.grpcClient(testing.UnimplementedServiceClient, target)),
  }
}

/** Runs each case on clients of its own. */
async function runCases(t: TestContext, mesh: Mesh, cases: Readonly<Record<string, InteropCase>>): Promise<void> {
  for (const [name, run] of Object.entries(cases)) await t.test(name, t => run(connectionOf(t, mesh)))
}

before(() => {
  testing = loadGrpcTesting()
})

describe("gRPC's interop cases through the mesh", () => {
  test("against grpc-go's interop server, by the control plane", async t => {
    await runCases(t, await meshByControlPlane(t, await startGoInteropServer(t)), { ...basicCases, ...loadReportCases })
  })

  test('against a server of the mesh, by the control plane', async t => {
    const mesh = await meshByControlPlane(t, await serve(t, interopServer(testing)))
    await runCases(t, mesh, { ...basicCases, ...loadReportCases })
  })

  test('with compression and call credentials, by the control plane', async t => {
    const mesh = await meshByControlPlane(t, await startCompressingServer(t))
    await runCases(t, mesh, { ...compressionCases, ...credentialCases })
  })

  test("against grpc-go's interop server, by a file and over TLS", async t => {
    const ca = await TestCa.create(t)
    const { certificateFile, privateKeyFile } = await ca.issue('dns:interop.test')
    const port = await startGoInteropServer(t, '-use_tls', '-tls_cert_file', certificateFile, '-tls_key_file', privateKeyFile)
    const validation = {
      trusted_ca: { filename: ca.certificateFile },
      match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: 'interop.test' } }],
    }
    const mesh = await meshByFile(t, port, {
      transport_socket: {
        name: 'envoy.transport_sockets.tls',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
          sni: 'interop.test',
          common_tls_context: { validation_context: validation },
        },
      },
    })
    await runCases(t, mesh, basicCases)
  })
})

describe("grpc-go's interop client", () => {
  test('against a server of the mesh', async t => {
    const port = await serve(t, interopServer(testing))
    for (const name of clientCases) await t.test(name, () => runGoClient(name, port))
  })

  test('with credentials of its calls, over TLS', async t => {
    const ca = await TestCa.create(t)
    const { certificate, privateKey } = await ca.issue('dns:interop.test')
    const identity = { cert_chain: Buffer.from(certificate), private_key: Buffer.from(privateKey) }
    const port = await serve(t, interopServer(testing, ownerOf), ServerCredentials.createSsl(null, [identity]))
    const keyFile = await serviceAccountKey(t)
    const flags = ['-use_tls', '-use_test_ca', '-ca_file', ca.certificateFile, '-server_host_override', 'interop.test']
    flags.push('-service_account_key_file', keyFile, '-oauth_scope', scope)
    for (const name of credentialClientCases) await t.test(name, () => runGoClient(name, port, ...flags))
  })
})

const clientCases = [
  ...['empty_unary', 'large_unary', 'client_streaming', 'server_streaming', 'ping_pong', 'empty_stream', 'custom_metadata'],
  ...['status_code_and_message', 'special_status_message', 'unimplemented_method', 'unimplemented_service'],
  ...['cancel_after_begin', 'cancel_after_first_response', 'timeout_on_sleeping_server', 'pick_first_unary'],
  ...['rpc_soak', 'channel_soak', 'orca_per_rpc', 'orca_oob'],
]
const credentialClientCases = ['jwt_token_creds', 'service_account_creds', 'oauth2_auth_token', 'per_rpc_creds', 'large_unary']

const account = 'interop@test.example'
const scope = 'https://test.example/auth/interop'

/** The owner of an access token of {@link serviceAccountKey}, or of a JWT of the account's own making. */
function ownerOf(token: string): TokenOwner | undefined {
  if (token === accessToken) return { username: account, scope }
  const [, claims = ''] = token.split('.')
  const { iss } = JSON.parse(Buffer.from(claims, 'base64url').toString() || '{}')
  return iss === undefined ? undefined : { username: String(iss), scope: '' }
}
const accessToken = 'an-access-token'

/** The key file of an account whose token server is here. */
async function serviceAccountKey(t: TestContext): Promise<string> {
  const tokens = await startUpstream(t, (_request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ access_token: accessToken, token_type: 'Bearer', expires_in: 3600 }))
  })
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const folder = await mkdtemp(join(tmpdir(), 'inmesh-interop-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'key.json')
  const key = {
    type: 'service_account',
    client_email: account,
    private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    token_uri: `http://${tokens.address}/token`,
  }
  await writeFile(path, JSON.stringify(key))
  return path
}

/** Serves `server` through a mesh of its own. */
async function serve(t: TestContext, server: Server, credentials = ServerCredentials.createInsecure()): Promise<number> {
  const mesh = await meshByFile(t, 1)
  t.after(() => server.forceShutdown())
  return (await mesh.serveGrpc(server, { host: '127.0.0.1', credentials })).port
}

/** Runs one case, and rejects with what the client says of its failure. */
async function runGoClient(name: string, port: number, ...flags: readonly string[]): Promise<void> {
  const balancer = name.startsWith('orca')
    ? ['-service_config_json', '{"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}']
    : []
  const args = ['-server_host', '127.0.0.1', '-server_port', String(port), '-test_case', name, ...flags, ...balancer]
  await promisify(execFile)(goInteropClient(), args, { timeout: 60_000 })
}
