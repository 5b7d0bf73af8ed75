import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js'
import {
  type CheckRequest,
  CheckRequestSchema,
  CheckResponseSchema,
} from '../../src/discovery/gen/envoy/service/auth/v3/external_auth_pb.ts'

/** What a gRPC authorizer of a test answers; `fails`: an error of gRPC, `waits`: nothing. */
export type CheckAnswer = MessageInitShape<typeof CheckResponseSchema> | 'fails' | 'waits'

const asBuffer = (bytes: Buffer) => bytes

const checkMethod = {
  path: '/envoy.service.auth.v3.Authorization/Check',
  requestStream: false,
  responseStream: false,
  requestSerialize: asBuffer,
  requestDeserialize: asBuffer,
  responseSerialize: asBuffer,
  responseDeserialize: asBuffer,
} as const

/** The method Check of an authorizer, for a server of grpc-js. */
export function addCheck(server: Server, decide: (request: CheckRequest) => CheckAnswer): readonly CheckRequest[] {
  const seen: CheckRequest[] = []
  const check = (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => {
    const request = fromBinary(CheckRequestSchema, call.request)
    seen.push(request)
    const answer = decide(request)
    if (answer === 'fails') callback({ code: status.INTERNAL, details: 'broken' })
    else if (answer !== 'waits') callback(null, Buffer.from(toBinary(CheckResponseSchema, create(CheckResponseSchema, answer))))
  }
  server.addService({ Check: checkMethod }, { Check: check })
  return seen
}

/** A real authorizer over gRPC, until the test ends. */
export async function startGrpcAuthorizer(t: TestContext, decide: (request: CheckRequest) => CheckAnswer) {
  const server = new Server()
  const seen = addCheck(server, decide)
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  )
  t.after(() => server.forceShutdown())
  return { port, seen, stop: () => server.forceShutdown() }
}

/** A request as an authorizer over HTTP saw it. */
export interface SeenCheck {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** A real authorizer over HTTP, until the test ends. */
export async function startHttpAuthorizer(t: TestContext, answer: (request: SeenCheck, response: ServerResponse) => void) {
  const seen: SeenCheck[] = []
  const server = createServer(async (request, response) => {
    const { method = '', url = '', headers } = request
    const check = { method, url, headers, body: (await buffer(request)).toString('latin1') }
    seen.push(check)
    answer(check, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stop = () => {
    server.closeAllConnections()
    server.close()
  }
  t.after(stop)
  return { port: (server.address() as AddressInfo).port, seen, stop }
}
