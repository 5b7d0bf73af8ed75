import * as grpc from '@grpc/grpc-js'
import { built, cpuPerRequest, report, settings } from '../contender.ts'
import { echoService } from './echo-service.ts'

/** What {@link ../grpc-unary.ts} asks of this process. */
export interface GrpcUnarySettings {
  readonly which: 'grpc-js' | 'mesh'
  readonly port: number
  readonly staticConfig: string
  readonly requests: number
  readonly concurrency: number
}

interface EchoClient extends grpc.Client {
  Unary(request: Buffer, callback: (error: Error | null) => void): void
}

const { which, port, staticConfig, requests, concurrency } = settings<GrpcUnarySettings>()
const EchoClient = grpc.makeClientConstructor(echoService, 'Echo') as unknown as new (
  address: string,
  credentials: grpc.ChannelCredentials,
  options?: grpc.ClientOptions,
) => EchoClient

const client = which === 'mesh' ? await meshClient() : new EchoClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure())
const message = Buffer.alloc(100)
const once = () =>
  new Promise<void>((resolve, reject) => {
    client.Unary(message, error => (error === null ? resolve() : reject(error)))
  })

report(await cpuPerRequest(once, { warmup: requests, requests, concurrency }))
process.exit()

async function meshClient(): Promise<EchoClient> {
  const { createMesh } = await built<typeof import('../../src/index.ts')>('index')
  const mesh = await createMesh({ hosts: ['upstream'], staticConfig })
  return mesh.grpcClient(EchoClient, 'xds:///upstream')
}
