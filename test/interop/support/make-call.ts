import { type Client, Metadata, type StatusObject } from '@grpc/grpc-js'
import type { ClientAnswer, ClientCall } from './xds-client.ts'

/** Makes a call with a client of grpc-js. Requests and answers are text, without protobuf; the request is the id of the call. */
export async function makeCall(client: Client, { id, method, metadata, deadlineMs }: ClientCall): Promise<ClientAnswer> {
  const sent = new Metadata()
  for (const [name, value] of Object.entries(metadata)) sent.set(name, value)
  const began = performance.now()
  const write = (text: string) => Buffer.from(text)
  const read = (bytes: Buffer) => bytes.toString()
  let reply = ''
  const call = client.makeUnaryRequest(method, write, read, id, sent, { deadline: Date.now() + deadlineMs }, (_, answered) => {
    reply = answered ?? ''
  })
  const { promise, resolve } = Promise.withResolvers<StatusObject>()
  call.on('status', resolve)
  const { code, details, metadata: trailers } = await promise
  const elapsedMs = performance.now() - began
  const version = String(trailers.get('x-version')[0] ?? '')
  return { id, reply, code, message: details, version, peer: call.getPeer(), elapsedMs }
}
