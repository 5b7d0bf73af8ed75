import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, describe, type TestContext, test } from 'node:test'
import type { ClientOptions } from '@grpc/grpc-js'
import { createMesh, type Mesh } from '../../src/index.ts'
import { silentLogger } from '../../src/runtime.ts'
import { TestCa } from '../support/test-ca.ts'
import { serveYaml } from './support/control-plane.ts'
import { startCompressingServer, startGoInteropServer } from './support/go-server.ts'
import { type GrpcTesting, loadGrpcTesting } from './support/grpc-testing.ts'
import {
  basicCases,
  compressionCases,
  credentialCases,
  type InteropCase,
  type InteropConnection,
  loadReportCases,
} from './support/interop-cases.ts'

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
