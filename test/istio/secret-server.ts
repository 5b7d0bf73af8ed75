import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { anyPack } from '@bufbuild/protobuf/wkt'
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js'
import { SecretSchema } from '../../src/discovery/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts'
import {
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  type DiscoveryResponse,
  DiscoveryResponseSchema,
} from '../../src/discovery/gen/envoy/service/discovery/v3/discovery_pb.ts'
import type { WorkloadCertificate } from '../support/workload-certificate.ts'

/** The part of Istio's agent that a sidecar asks for its certificate (`default`) and for whom to trust (`ROOTCA`). */
export async function startSecretServer(secret: WorkloadCertificate): Promise<{ readonly address: string; close(): void }> {
  const server = new Server()
  const bytes = (text: string) => ({ specifier: { case: 'inlineBytes' as const, value: Buffer.from(text) } })
  const secrets = {
    default: create(SecretSchema, {
      name: 'default',
      type: {
        case: 'tlsCertificate',
        value: { certificateChain: bytes(secret.certificateChain), privateKey: bytes(secret.privateKey) },
      },
    }),
    ROOTCA: create(SecretSchema, {
      name: 'ROOTCA',
      type: { case: 'validationContext', value: { trustedCa: bytes(secret.roots) } },
    }),
  }
  const stream = {
    path: '/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets',
    requestStream: true,
    responseStream: true,
    requestDeserialize: (message: Buffer) => fromBinary(DiscoveryRequestSchema, message),
    requestSerialize: (message: DiscoveryRequest) => Buffer.from(toBinary(DiscoveryRequestSchema, message)),
    responseDeserialize: (message: Buffer) => fromBinary(DiscoveryResponseSchema, message),
    responseSerialize: (message: DiscoveryResponse) => Buffer.from(toBinary(DiscoveryResponseSchema, message)),
  } as const
  const answer = (call: ServerDuplexStream<DiscoveryRequest, DiscoveryResponse>) => {
    call.on('data', ({ typeUrl, resourceNames, responseNonce }: DiscoveryRequest) => {
      if (responseNonce !== '') return
      const asked = resourceNames.flatMap(name => (name === 'default' || name === 'ROOTCA' ? [secrets[name]] : []))
      const resources = asked.map(each => anyPack(SecretSchema, each))
      call.write(create(DiscoveryResponseSchema, { typeUrl, versionInfo: '1', nonce: '1', resources }))
    })
    call.on('end', () => call.end())
    call.on('error', () => {})
  }
  server.addService({ StreamSecrets: stream }, { StreamSecrets: answer })
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  )
  return { address: `127.0.0.1:${port}`, close: () => server.forceShutdown() }
}
