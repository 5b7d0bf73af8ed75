import { createRequire } from 'node:module'
import type * as GrpcJs from '@grpc/grpc-js'
import { echoService } from '../grpc-unary/echo-service.ts'

/** Whose xDS client. */
export type Which = 'grpc-js-xds' | 'mesh'

interface EchoClient extends GrpcJs.Client {
  Unary(request: Buffer, options: GrpcJs.CallOptions, callback: (error: Error | null) => void): void
}

/** Loads what an application loads, and makes a client of the service `big` of the control plane at `port`. */
export async function makeClient(which: Which, port: number): Promise<EchoClient> {
  // As an application does; node_modules of this package are that application's.
  const require = createRequire(import.meta.url)
  const grpc: typeof GrpcJs = require('@grpc/grpc-js')
  const EchoClient = grpc.makeClientConstructor(echoService, 'Echo') as unknown as new (
    address: string,
    credentials: GrpcJs.ChannelCredentials,
    options?: GrpcJs.ClientOptions,
  ) => EchoClient
  if (which === 'mesh') {
    const { createMesh }: typeof import('../../src/index.ts') = await import(new URL('../../dist/index.js', import.meta.url).href)
    const env = { INMESH_CONTROL_PLANE: `127.0.0.1:${port}`, INMESH_SERVICE: 'bench' }
    const mesh = await createMesh({ hosts: ['big'], env })
    return mesh.grpcClient(EchoClient, 'xds:///big')
  }
  const server = { server_uri: `127.0.0.1:${port}`, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] }
  const node = { id: 'bench', locality: { zone: 'a' } }
  process.env.GRPC_XDS_BOOTSTRAP_CONFIG = JSON.stringify({ xds_servers: [server], node })
  const xds: { register(): void } = require('@grpc/grpc-js-xds')
  xds.register()
  return new EchoClient('xds:///big', grpc.credentials.createInsecure())
}

/** One call. */
export function call(client: EchoClient): Promise<void> {
  const deadline = Date.now() + 20_000
  return new Promise((resolve, reject) => {
    client.Unary(Buffer.alloc(100), { deadline }, error => (error === null ? resolve() : reject(error)))
  })
}
