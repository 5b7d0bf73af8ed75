import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type ControlPlaneOptions, startControlPlane } from '@inmesh/control-plane'

/** Serves `yaml` until the test ends. */
export async function serveYaml(t: TestContext, yaml: string, options: Pick<ControlPlaneOptions, 'loadReporting'> = {}) {
  const config = await mkdtemp(join(tmpdir(), 'inmesh-interop-'))
  t.after(() => rm(config, { recursive: true, force: true }))
  const file = join(config, 'mesh.yaml')
  await writeFile(file, yaml)
  const controlPlane = await startControlPlane({ config, xdsPort: 0, ...options })
  t.after(() => controlPlane.close())
  return { controlPlane, xdsAddress: controlPlane.xdsAddress, rewrite: (next: string) => writeFile(file, next) }
}

/** A gRPC bootstrap file for that address. */
export async function bootstrapFile(t: TestContext, xdsAddress: string, nodeId: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'inmesh-bootstrap-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'bootstrap.json')
  const bootstrap = {
    xds_servers: [{ server_uri: xdsAddress, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] }],
    // grpc-js-xds refuses a node without a locality.
    node: { id: nodeId, locality: { region: 'test' } },
  }
  await writeFile(path, JSON.stringify(bootstrap))
  return path
}

/** Two echo servers as subsets `v1` and `v2` of `echo.test:50051`, `percent` of the calls to `v2`. */
export function echoYaml(v1Port: number, v2Port: number, percent: number): string {
  return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: echo, namespace: default }
spec:
  hosts: [echo.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 50051, name: grpc, protocol: GRPC }]
  endpoints:
  - { address: 127.0.0.1, ports: { grpc: ${v1Port} }, labels: { version: v1 } }
  - { address: 127.0.0.1, ports: { grpc: ${v2Port} }, labels: { version: v2 } }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: echo, namespace: default }
spec:
  host: echo.test
  subsets:
  - { name: v1, labels: { version: v1 } }
  - { name: v2, labels: { version: v2 } }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: echo, namespace: default }
spec:
  hosts: [echo.test]
  http:
  - route:
    - { destination: { host: echo.test, subset: v1 }, weight: ${100 - percent} }
    - { destination: { host: echo.test, subset: v2 }, weight: ${percent} }
`
}
