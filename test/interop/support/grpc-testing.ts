import { execFileSync } from 'node:child_process'
import {
  type CallOptions,
  type ChannelCredentials,
  type Client,
  type ClientDuplexStream,
  type ClientOptions,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ClientWritableStream,
  type GrpcObject,
  loadPackageDefinition,
  type Metadata,
  type ServiceClientConstructor,
  type ServiceDefinition,
  type ServiceError,
} from '@grpc/grpc-js'
import { loadFileDescriptorSetFromBuffer } from '@grpc/proto-loader'
import { goProgram } from '../../support/peers.ts'

/** `grpc.testing.Payload`. */
export interface Payload {
  readonly type: string
  readonly body: Buffer
}

type BoolValue = { readonly value: boolean }

/** An entry of a map: protobufjs does not see that a field is one when it has a descriptor only. */
export interface MapEntry {
  readonly key: string
  readonly value: number
}

/** `grpc.testing.TestOrcaReport`. */
export interface TestOrcaReport {
  readonly cpu_utilization: number
  readonly memory_utilization: number
  readonly request_cost?: readonly MapEntry[]
  readonly utilization: readonly MapEntry[]
}

/** `grpc.testing.SimpleRequest`, as far as the cases set it. */
export interface SimpleRequest {
  readonly response_size?: number
  readonly payload?: { readonly body: Buffer } | null
  readonly fill_username?: boolean
  readonly fill_oauth_scope?: boolean
  readonly fill_server_id?: boolean
  readonly response_compressed?: BoolValue | null
  readonly expect_compressed?: BoolValue | null
  readonly response_status?: { readonly code: number; readonly message: string } | null
  readonly orca_per_query_report?: TestOrcaReport | null
}

/** `grpc.testing.SimpleResponse`. */
export interface SimpleResponse {
  readonly payload: Payload | null
  readonly username: string
  readonly oauth_scope?: string
  readonly server_id?: string
}

/** `grpc.testing.StreamingInputCallRequest`. */
export interface StreamingInputCallRequest {
  readonly payload: { readonly body: Buffer }
  readonly expect_compressed?: BoolValue | null
}

/** `grpc.testing.StreamingInputCallResponse`. */
export interface StreamingInputCallResponse {
  readonly aggregated_payload_size: number
}

/** `grpc.testing.StreamingOutputCallRequest`. */
export interface StreamingOutputCallRequest {
  readonly response_parameters?: readonly { readonly size: number; readonly compressed?: BoolValue | null }[]
  readonly payload?: { readonly body: Buffer } | null
  readonly response_status?: { readonly code: number; readonly message: string } | null
  readonly orca_oob_report?: TestOrcaReport | null
}

/** `grpc.testing.StreamingOutputCallResponse`. */
export interface StreamingOutputCallResponse {
  readonly payload: Payload | null
}

type Empty = Readonly<Record<string, never>>
type UnaryMethod<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: CallOptions,
  callback: (error: ServiceError | null, response?: Response) => void,
) => ClientUnaryCall

/** A client of `grpc.testing.TestService`. */
export interface TestServiceClient extends Client {
  emptyCall: UnaryMethod<Empty, Empty>
  unaryCall: UnaryMethod<SimpleRequest, SimpleResponse>
  unimplementedCall: UnaryMethod<Empty, Empty>
  streamingOutputCall(
    request: StreamingOutputCallRequest,
    metadata: Metadata,
    options: CallOptions,
  ): ClientReadableStream<StreamingOutputCallResponse>
  streamingInputCall(
    metadata: Metadata,
    options: CallOptions,
    callback: (error: ServiceError | null, response?: StreamingInputCallResponse) => void,
  ): ClientWritableStream<StreamingInputCallRequest>
  fullDuplexCall(
    metadata: Metadata,
    options: CallOptions,
  ): ClientDuplexStream<StreamingOutputCallRequest, StreamingOutputCallResponse>
}

/** A client of `grpc.testing.UnimplementedService`. */
export interface UnimplementedServiceClient extends Client {
  unimplementedCall: UnaryMethod<Empty, Empty>
}

type ClientType<C> = new (address: string, credentials: ChannelCredentials, options?: ClientOptions) => C

/** The package `grpc.testing` and the ORCA service, as `@grpc/proto-loader` makes them. */
export interface GrpcTesting {
  readonly TestServiceClient: ClientType<TestServiceClient>
  readonly UnimplementedServiceClient: ClientType<UnimplementedServiceClient>
  readonly testService: ServiceDefinition
  readonly orcaService: ServiceDefinition
}

/** Loads them from the descriptors inside grpc-go, whose fields keep the names that they have in `.proto` files. */
export function loadGrpcTesting(): GrpcTesting {
  const descriptors = execFileSync(goProgram('test/interop/grpc-go'), ['descriptors'])
  const definition = loadFileDescriptorSetFromBuffer(descriptors, { longs: Number, enums: String, defaults: true })
  const root = loadPackageDefinition(definition)
  const client = (...path: readonly string[]) =>
    path.reduce<GrpcObject>((object, name) => object[name] as GrpcObject, root) as unknown as ServiceClientConstructor
  const TestServiceClient = client('grpc', 'testing', 'TestService')
  return {
    TestServiceClient: TestServiceClient as unknown as ClientType<TestServiceClient>,
    UnimplementedServiceClient: client(
      'grpc',
      'testing',
      'UnimplementedService',
    ) as unknown as ClientType<UnimplementedServiceClient>,
    testService: TestServiceClient.service,
    orcaService: client('xds', 'service', 'orca', 'v3', 'OpenRcaService').service,
  }
}
