import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The host that {@link meshFolder} defines. */
export const meshHost = 'upstream.mesh'

/** A folder of Istio YAML. */
export interface MeshFolder extends AsyncDisposable {
  readonly path: string
}

/**
 * A service of one endpoint with the policies of an ordinary one, as an operator writes it.
 *
 * @param port of the endpoint on this machine
 * @param maxConnections to it
 */
export async function meshFolder(port: number, maxConnections: number): Promise<MeshFolder> {
  const path = await mkdtemp(join(tmpdir(), 'inmesh-bench-'))
  await writeFile(
    join(path, 'upstream.yaml'),
    `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: upstream }
spec:
  hosts: [${meshHost}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ name: http, number: 80, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { http: ${port} } }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: upstream }
spec:
  hosts: [${meshHost}]
  http:
    - timeout: 15s
      retries: { attempts: 2, retryOn: "5xx,reset,connect-failure" }
      route: [{ destination: { host: ${meshHost} } }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: upstream }
spec:
  host: ${meshHost}
  trafficPolicy:
    loadBalancer: { simple: LEAST_REQUEST }
    connectionPool: { tcp: { maxConnections: ${maxConnections} } }
    outlierDetection: { consecutive5xxErrors: 5, interval: 10s, baseEjectionTime: 30s }
`,
  )
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) }
}
