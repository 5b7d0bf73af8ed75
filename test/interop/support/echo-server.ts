import type { TestContext } from 'node:test'
import { type Client, Server, ServerCredentials, type ServiceDefinition, type UntypedServiceImplementation } from '@grpc/grpc-js'

/** Path of the one method: text in, text out, without protobuf. */
export const echoPath = '/inmesh.test.Echo/Echo'

/** How {@link echoPath} is written for grpc-js. */
export const echoService = {
  Echo: {
    path: echoPath,
    requestStream: false,
    responseStream: false,
    requestSerialize: (text: string) => Buffer.from(text),
    requestDeserialize: (bytes: Buffer) => bytes.toString(),
    responseSerialize: (text: string) => Buffer.from(text),
    responseDeserialize: (bytes: Buffer) => bytes.toString(),
  },
} satisfies ServiceDefinition

/** Starts a gRPC server that answers `NAME: TEXT`, ends it with the test, and gives its port. */
export async function echoServer(t: TestContext, name: string): Promise<number> {
  const server = new Server()
  const implementation: UntypedServiceImplementation = {
    Echo: (call: { request: string }, done: (error: null, text: string) => void) => done(null, `${name}: ${call.request}`),
  }
  server.addService(echoService, implementation)
  t.after(() => server.forceShutdown())
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => (error ? reject(error) : resolve(port)))
  })
}

/** Calls {@link echoPath} once. */
export function echo(client: Client, text: string): Promise<string> {
  const { path, requestSerialize, responseDeserialize } = echoService.Echo
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      text,
      { deadline: Date.now() + 10_000 },
      (error, answer) => (error ? reject(error) : resolve(answer ?? '')),
    )
  })
}
