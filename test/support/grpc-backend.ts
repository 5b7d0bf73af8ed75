import type { TestContext } from 'node:test'
import * as grpc from '@grpc/grpc-js'

const bytes = (value: Buffer) => value
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
})

/** A service whose messages are bytes: each is answered with itself. */
export const echoDefinition = {
  Unary: method('Unary', false, false),
  ClientStream: method('ClientStream', true, false),
  ServerStream: method('ServerStream', false, true),
  Bidi: method('Bidi', true, true),
}

/** The class of a client, as `@grpc/proto-loader` makes it. */
export const EchoClient = grpc.makeClientConstructor(echoDefinition, 'Echo') as unknown as new (
  address: string,
  credentials: grpc.ChannelCredentials,
  options?: grpc.ClientOptions,
) => EchoClient

type Callback = (error: grpc.ServiceError | null, reply?: Buffer) => void

/** Its methods. */
export interface EchoClient extends grpc.Client {
  Unary(request: Buffer, callback: Callback): grpc.ClientUnaryCall
  Unary(request: Buffer, metadata: grpc.Metadata, callback: Callback): grpc.ClientUnaryCall
  Unary(request: Buffer, metadata: grpc.Metadata, options: grpc.CallOptions, callback: Callback): grpc.ClientUnaryCall
  ClientStream(callback: Callback): grpc.ClientWritableStream<Buffer>
  ServerStream(request: Buffer, metadata?: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<Buffer>
  Bidi(metadata?: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<Buffer, Buffer>
}

/** A call as a backend saw it. */
export interface SeenCall {
  readonly method: string
  readonly metadata: grpc.Metadata
  readonly authority: string
  /** Milliseconds since the epoch; `Infinity`: none. */
  readonly deadline: number
}

/** What a backend does with a unary call in place of echoing; true when it has answered itself. */
export type UnaryAnswer = (
  call: grpc.ServerUnaryCall<Buffer, Buffer>,
  callback: grpc.sendUnaryData<Buffer>,
  number: number,
) => boolean

/** What a backend does with a client stream in place of echoing; true when it has answered itself. */
export type StreamAnswer = (
  call: grpc.ServerReadableStream<Buffer, Buffer>,
  callback: grpc.sendUnaryData<Buffer>,
  number: number,
) => boolean

/** Options of {@link startGrpcBackend}. */
export interface GrpcBackendOptions {
  /** Default 0: any. */
  readonly port?: number
  readonly credentials?: grpc.ServerCredentials
  readonly clientStream?: StreamAnswer
  /** Of the server. */
  readonly options?: grpc.ServerOptions
}

/** A gRPC server that plays an endpoint. */
export interface GrpcBackend {
  readonly port: number
  /** `127.0.0.1:port` */
  readonly address: string
  readonly seen: SeenCall[]
  readonly server: grpc.Server
  /** Ends it at once. */
  kill(): void
}

/** Starts a backend and ends it with the test. Initial metadata names its port in `x-port`; request metadata `x-echo` comes back. */
export async function startGrpcBackend(
  t: TestContext,
  answer: UnaryAnswer = () => false,
  {
    port = 0,
    credentials = grpc.ServerCredentials.createInsecure(),
    clientStream = () => false,
    options = {},
  }: GrpcBackendOptions = {},
): Promise<GrpcBackend> {
  const server = new grpc.Server(options)
  const seen: SeenCall[] = []
  const note = (name: string, call: { metadata: grpc.Metadata; getHost(): string; getDeadline(): grpc.Deadline }) => {
    seen.push({ method: name, metadata: call.metadata, authority: call.getHost(), deadline: Number(call.getDeadline()) })
  }
  const initial = (call: { metadata: grpc.Metadata }) => {
    const metadata = new grpc.Metadata()
    metadata.set('x-port', String(bound))
    for (const value of call.metadata.get('x-echo')) metadata.add('x-echo', value)
    for (const value of call.metadata.get('x-echo-bin')) metadata.add('x-echo-bin', value)
    return metadata
  }
  const trailers = () => {
    const metadata = new grpc.Metadata()
    metadata.set('x-trailer', 'end')
    return metadata
  }
  server.addService(echoDefinition, {
    Unary(call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) {
      note('Unary', call)
      if (answer(call, callback, seen.length)) return
      call.sendMetadata(initial(call))
      callback(null, call.request, trailers())
    },
    ClientStream(call: grpc.ServerReadableStream<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) {
      note('ClientStream', call)
      if (clientStream(call, callback, seen.length)) return
      const chunks: Buffer[] = []
      call.on('data', chunk => chunks.push(chunk))
      call.on('end', () => callback(null, Buffer.concat(chunks), trailers()))
    },
    ServerStream(call: grpc.ServerWritableStream<Buffer, Buffer>) {
      note('ServerStream', call)
      call.sendMetadata(initial(call))
      for (const byte of call.request) call.write(Buffer.from([byte]))
      call.end(trailers())
    },
    Bidi(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
      note('Bidi', call)
      call.sendMetadata(initial(call))
      call.on('data', chunk => call.write(chunk))
      call.on('end', () => call.end(trailers()))
    },
  })
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error, actual) => (error ? reject(error) : resolve(actual)))
  })
  const kill = () => server.forceShutdown()
  t.after(kill)
  return { port: bound, address: `127.0.0.1:${bound}`, seen, server, kill }
}

/** How a call ended, and with what. */
export interface CallResult {
  readonly reply: Buffer | undefined
  readonly code: number
  readonly details: string
  readonly initial: grpc.Metadata | undefined
  readonly trailers: grpc.Metadata | undefined
  readonly peer: string
}

/** Makes a unary call and waits for all of it. */
export function callUnary(
  client: EchoClient,
  request: Buffer | string,
  { metadata = new grpc.Metadata(), ...options }: grpc.CallOptions & { metadata?: grpc.Metadata } = {},
): Promise<CallResult> & { readonly call: grpc.ClientUnaryCall } {
  const { promise, resolve } = Promise.withResolvers<CallResult>()
  let initial: grpc.Metadata | undefined
  let outcome: { error: grpc.ServiceError | null; reply: Buffer | undefined } | undefined
  let status: grpc.StatusObject | undefined
  const settle = () => {
    if (outcome === undefined || status === undefined) return
    resolve({
      reply: outcome.reply,
      code: outcome.error?.code ?? 0,
      details: outcome.error?.details ?? '',
      initial,
      trailers: status.metadata,
      peer: call.getPeer(),
    })
  }
  const call = client.Unary(Buffer.from(request), metadata, options, (error, reply) => {
    outcome = { error, reply }
    settle()
  })
  call.on('metadata', value => {
    initial = value
  })
  call.on('status', value => {
    status = value
    settle()
  })
  return Object.assign(promise, { call })
}
