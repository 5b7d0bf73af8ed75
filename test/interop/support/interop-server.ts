import {
  Metadata,
  Server,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import type {
  GrpcTesting,
  SimpleRequest,
  SimpleResponse,
  StreamingInputCallRequest,
  StreamingInputCallResponse,
  StreamingOutputCallRequest,
  StreamingOutputCallResponse,
  TestOrcaReport,
} from './grpc-testing.ts'

/** Whom the bearer token of a call stands for. */
export interface TokenOwner {
  readonly username: string
  readonly scope: string
}

const payload = (size = 0) => ({ type: 'COMPRESSABLE', body: Buffer.alloc(size) })

/** The report as `xds.data.orca.v3.OrcaLoadReport`. */
const loadReport = ({ memory_utilization: mem_utilization, ...report }: TestOrcaReport) => ({ ...report, mem_utilization })

function echoedInitial(metadata: Metadata): Metadata | null {
  const values = metadata.get('x-grpc-test-echo-initial')
  if (values.length === 0) return null
  const echo = new Metadata()
  for (const value of values) echo.add('x-grpc-test-echo-initial', value)
  return echo
}

function echoedTrailers(metadata: Metadata): Metadata {
  const echo = new Metadata()
  for (const value of metadata.get('x-grpc-test-echo-trailing-bin')) echo.add('x-grpc-test-echo-trailing-bin', value)
  return echo
}

/**
 * A grpc-js server of `grpc.testing.TestService`, with load reports and echoed credentials. It is not yet bound.
 *
 * @param ownerOf reads bearer tokens; default nobody has one
 */
export function interopServer(
  { testService, orcaService }: GrpcTesting,
  ownerOf: (token: string) => TokenOwner | undefined = () => undefined,
): Server {
  const server = new Server()
  const serializeReport = orcaService.StreamCoreMetrics?.responseSerialize
  if (serializeReport === undefined) throw new Error('no ORCA service')
  const reportStreams = new Set<ServerWritableStream<unknown, unknown>>()
  let report: TestOrcaReport = { cpu_utilization: 0, memory_utilization: 0, utilization: [] }

  const implementation: UntypedServiceImplementation = {
    EmptyCall(_call: ServerUnaryCall<object, object>, done: sendUnaryData<object>) {
      done(null, {})
    },

    UnaryCall(call: ServerUnaryCall<SimpleRequest, SimpleResponse>, done: sendUnaryData<SimpleResponse>) {
      const { request, metadata } = call
      const initial = echoedInitial(metadata)
      const trailers = echoedTrailers(metadata)
      if (initial !== null) call.sendMetadata(initial)
      const failure = failureFor(request, trailers)
      if (failure !== null) return done(failure)
      const { orca_per_query_report: perQuery } = request
      if (perQuery) trailers.set('endpoint-load-metrics-bin', serializeReport(loadReport(perQuery)))
      const owner = ownerOf(String(metadata.get('authorization')[0] ?? '').replace(/^Bearer /, ''))
      const answer = {
        payload: payload(request.response_size),
        username: request.fill_username ? (owner?.username ?? '') : '',
        oauth_scope: request.fill_oauth_scope ? (owner?.scope ?? '') : '',
        server_id: request.fill_server_id ? 'interop' : '',
      }
      done(null, answer, trailers)
    },

    StreamingOutputCall(call: ServerWritableStream<StreamingOutputCallRequest, StreamingOutputCallResponse>) {
      for (const { size } of call.request.response_parameters ?? []) call.write({ payload: payload(size) })
      call.end()
    },

    StreamingInputCall(
      call: ServerReadableStream<StreamingInputCallRequest, StreamingInputCallResponse>,
      done: sendUnaryData<StreamingInputCallResponse>,
    ) {
      let size = 0
      call.on('data', (message: StreamingInputCallRequest) => {
        size += message.payload.body.length
      })
      call.on('end', () => done(null, { aggregated_payload_size: size }))
      call.on('error', () => {})
    },

    FullDuplexCall(call: ServerDuplexStream<StreamingOutputCallRequest, StreamingOutputCallResponse>) {
      const initial = echoedInitial(call.metadata)
      const trailers = echoedTrailers(call.metadata)
      if (initial !== null) call.sendMetadata(initial)
      call.on('data', (request: StreamingOutputCallRequest) => {
        const failure = failureFor(request, trailers)
        if (failure !== null) {
          call.removeAllListeners('end').emit('error', failure)
          return
        }
        if (request.orca_oob_report) {
          report = request.orca_oob_report
          for (const stream of reportStreams) stream.write(loadReport(report))
        }
        for (const { size } of request.response_parameters ?? []) call.write({ payload: payload(size) })
      })
      call.on('end', () => call.end(trailers))
      call.on('error', () => {})
    },
  }
  server.addService(testService, implementation)

  // As soon as there is something new, whatever the interval asked for.
  server.addService(orcaService, {
    StreamCoreMetrics(call: ServerWritableStream<unknown, unknown>) {
      call.write(loadReport(report))
      reportStreams.add(call)
      call.on('cancelled', () => reportStreams.delete(call))
    },
  })
  return server
}

function failureFor({ response_status: asked }: SimpleRequest | StreamingOutputCallRequest, metadata: Metadata) {
  return asked && asked.code !== status.OK ? { code: asked.code, details: asked.message, metadata } : null
}
