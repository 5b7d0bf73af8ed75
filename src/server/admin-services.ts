import type { Server, ServerDuplexStream, ServerUnaryCall, ServiceDefinition, sendUnaryData } from '@grpc/grpc-js'
import type { ClientStatusSource } from '../discovery/client-status.ts'

type Grpc = Pick<typeof import('@grpc/grpc-js'), 'addAdminServicesToServer'>

/** An answer, or the status of a call that gets none. */
type Answer = { readonly message: Buffer } | { readonly code: number; readonly details: string }

const invalidArgument = 3
const internal = 13

const bytes = (value: Buffer) => value
const method = (name: string, isStream: boolean) => ({
  path: `/envoy.service.status.v3.ClientStatusDiscoveryService/${name}`,
  requestStream: isStream,
  responseStream: isStream,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
})
const definition: ServiceDefinition = {
  StreamClientStatus: method('StreamClientStatus', true),
  FetchClientStatus: method('FetchClientStatus', false),
}

/**
 * Adds the client status discovery service (CSDS, gRFC A40) to a server, and all admin services that are registered with grpc-js (A38), channelz
 * first of all.
 *
 * @param source `null`: there is no control plane, and nothing to tell
 * @throws Error when the server has a client status discovery service already, or is started
 */
export function addAdminServices(server: Server, source: ClientStatusSource | null, grpc: Grpc): void {
  server.addService(definition, {
    FetchClientStatus: async (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => {
      const answer = await answerTo(call.request, source)
      if ('message' in answer) callback(null, answer.message)
      else callback(answer)
    },
    StreamClientStatus: (call: ServerDuplexStream<Buffer, Buffer>) => stream(call, source),
  })
  try {
    grpc.addAdminServicesToServer(server)
  } catch {
    // The application has added some of them itself.
  }
}

/** One answer for each request, in their order. */
async function stream(call: ServerDuplexStream<Buffer, Buffer>, source: ClientStatusSource | null): Promise<void> {
  try {
    for await (const request of call) {
      const answer = await answerTo(request, source)
      if ('message' in answer) call.write(answer.message)
      else {
        call.emit('error', answer)
        return
      }
    }
    call.end()
  } catch {
    // It was cancelled: there is nobody to tell.
  }
}

async function answerTo(request: Buffer, source: ClientStatusSource | null): Promise<Answer> {
  // The generated types are loaded for those who ask.
  const { decodeClientStatusRequest, encodeClientStatus } = await import('../discovery/client-status-codec.ts')
  try {
    const asked = decodeClientStatusRequest(request)
    if (asked.matchesNodes) return { code: invalidArgument, details: 'node_matchers: not supported by a client' }
    return { message: Buffer.from(encodeClientStatus(source?.clientStatus(), asked)) }
  } catch (error) {
    return { code: internal, details: error instanceof Error ? error.message : String(error) }
  }
}
