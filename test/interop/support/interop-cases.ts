import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { isDeepStrictEqual } from 'node:util'
import {
  type CallOptions,
  type ChannelInterface,
  type ClientDuplexStream,
  type ClientOptions,
  compressionAlgorithms,
  credentials as credentialKinds,
  Metadata,
  type StatusObject,
  status,
} from '@grpc/grpc-js'
import { LoadReportStream } from '../../../src/client/grpc/load-report-stream.ts'
import { type LoadReport, loadReportOf } from '../../../src/policies/load-report.ts'
import { systemRuntime } from '../../../src/runtime.ts'
import type {
  SimpleRequest,
  SimpleResponse,
  StreamingOutputCallRequest,
  StreamingOutputCallResponse,
  TestOrcaReport,
  TestServiceClient,
  UnimplementedServiceClient,
} from './grpc-testing.ts'

/** Makes clients of the server under test; every call of it makes a new channel. */
export interface InteropConnection {
  test(options?: ClientOptions): TestServiceClient
  unimplemented(): UnimplementedServiceClient
  channel(): ChannelInterface
}

/** A case of gRPC's "Interoperability Test Case Descriptions". Rejects when what it asserts is not so. */
export type InteropCase = (connection: InteropConnection) => Promise<void>

const requestSizes = [27182, 8, 1828, 45904]
const responseSizes = [31415, 9, 2653, 58979]
const zeros = (size: number) => ({ body: Buffer.alloc(size) })
const largeRequest: SimpleRequest = { response_size: 314159, payload: zeros(271828) }
const failsafe = () => ({ deadline: Date.now() + 30_000 })

/** Writes a message without the compression of its channel (`GRPC_WRITE_NO_COMPRESS`). */
const noCompress = 2 as unknown as BufferEncoding
const gzip: ClientOptions = { 'grpc.default_compression_algorithm': compressionAlgorithms.gzip }

const echoed = () => {
  const metadata = new Metadata()
  metadata.set('x-grpc-test-echo-initial', 'test_initial_metadata_value')
  metadata.set('x-grpc-test-echo-trailing-bin', Buffer.from([0xab, 0xab, 0xab]))
  return metadata
}

function assertEchoed(initial: Metadata | undefined, trailers: Metadata): void {
  assert.deepEqual(initial?.get('x-grpc-test-echo-initial'), ['test_initial_metadata_value'])
  assert.deepEqual(trailers.get('x-grpc-test-echo-trailing-bin'), [Buffer.from([0xab, 0xab, 0xab])])
}

/** All of a unary call. */
export interface UnaryResult<Response> {
  readonly response: Response | undefined
  readonly initial: Metadata | undefined
  readonly status: StatusObject
}

type Unary<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: CallOptions,
  callback: (error: Error | null, response?: Response) => void,
) => EventEmitter

/** Makes a unary call; whatever its status, it resolves. */
export function callUnary<Request, Response>(
  client: object,
  method: Unary<Request, Response>,
  request: Request,
  metadata = new Metadata(),
  options: CallOptions = {},
): Promise<UnaryResult<Response>> {
  return new Promise(resolve => {
    let initial: Metadata | undefined
    let response: Response | undefined
    const call = method.call(client, request, metadata, { ...failsafe(), ...options }, (_error, answer) => {
      response = answer
    })
    call.on('metadata', (value: Metadata) => {
      initial = value
    })
    // After the callback.
    call.on('status', (value: StatusObject) => setImmediate(() => resolve({ response, initial, status: value })))
  })
}

const unary = (client: TestServiceClient, request: SimpleRequest, metadata?: Metadata, options?: CallOptions) =>
  callUnary<SimpleRequest, SimpleResponse>(client, client.unaryCall, request, metadata, options)

function assertOk({ code, details }: StatusObject): void {
  assert.equal(code, status.OK, details)
}

async function assertLarge(result: Promise<UnaryResult<SimpleResponse>>): Promise<UnaryResult<SimpleResponse>> {
  const awaited = await result
  assertOk(awaited.status)
  // Not deepEqual: it takes minutes to tell how two large buffers differ.
  assert.ok(awaited.response?.payload?.body.equals(Buffer.alloc(314159)), `${awaited.response?.payload?.body.length} bytes`)
  return awaited
}

/** The status of a stream; an error event says the same. */
function statusOf(call: EventEmitter): Promise<StatusObject> {
  call.on('error', () => {})
  return new Promise(resolve => call.on('status', (value: StatusObject) => resolve(value)))
}

type Duplex = ClientDuplexStream<StreamingOutputCallRequest, StreamingOutputCallResponse>

/** Writes a message and waits for one answer. */
async function exchange(call: Duplex, request: StreamingOutputCallRequest): Promise<StreamingOutputCallResponse> {
  const answer = once(call, 'data')
  call.write(request)
  const [message] = await answer
  return message
}

/** Uploads messages, each compressed by the channel's algorithm or not at all. */
async function upload(
  client: TestServiceClient,
  messages: readonly { readonly size: number; readonly expectCompressed?: boolean; readonly compressed?: boolean }[],
): Promise<{ readonly status: StatusObject; readonly size: number | undefined }> {
  let size: number | undefined
  const call = client.streamingInputCall(new Metadata(), failsafe(), (_error, response) => {
    size = response?.aggregated_payload_size
  })
  const ended = statusOf(call)
  for (const { size, expectCompressed, compressed } of messages) {
    const message = {
      payload: zeros(size),
      expect_compressed: expectCompressed === undefined ? null : { value: expectCompressed },
    }
    if (compressed === false) call.write(message, noCompress)
    else call.write(message)
  }
  call.end()
  const value = await ended
  await new Promise(setImmediate)
  return { status: value, size }
}

/** The cases that any server of the test suite answers. */
export const basicCases: Readonly<Record<string, InteropCase>> = {
  async empty_unary({ test }) {
    const client = test()
    const { response, status } = await callUnary(client, client.emptyCall, {})
    assertOk(status)
    assert.deepEqual({ ...response }, {})
  },

  async large_unary({ test }) {
    await assertLarge(unary(test(), largeRequest))
  },

  async client_streaming({ test }) {
    const { status, size } = await upload(
      test(),
      requestSizes.map(size => ({ size })),
    )
    assertOk(status)
    assert.equal(size, 74922)
  },

  async server_streaming({ test }) {
    const call = test().streamingOutputCall(
      { response_parameters: responseSizes.map(size => ({ size })) },
      new Metadata(),
      failsafe(),
    )
    const ended = statusOf(call)
    const sizes: (number | undefined)[] = []
    for await (const message of call) sizes.push((message as StreamingOutputCallResponse).payload?.body.length)
    assertOk(await ended)
    assert.deepEqual(sizes, responseSizes)
  },

  async ping_pong({ test }) {
    const call = test().fullDuplexCall(new Metadata(), failsafe())
    const ended = statusOf(call)
    for (const [index, size] of requestSizes.entries()) {
      const expected = responseSizes[index] ?? 0
      const { payload } = await exchange(call, { response_parameters: [{ size: expected }], payload: zeros(size) })
      assert.equal(payload?.body.length, expected)
    }
    call.on('data', () => assert.fail('a fifth answer'))
    call.end()
    assertOk(await ended)
  },

  async empty_stream({ test }) {
    const call = test().fullDuplexCall(new Metadata(), failsafe())
    const ended = statusOf(call)
    call.on('data', () => assert.fail('an answer'))
    call.end()
    assertOk(await ended)
  },

  async custom_metadata({ test }) {
    const client = test()
    const { initial, status } = await assertLarge(unary(client, largeRequest, echoed()))
    assertEchoed(initial, status.metadata)

    const call = client.fullDuplexCall(echoed(), failsafe())
    const ended = statusOf(call)
    const began = once(call, 'metadata')
    await exchange(call, { response_parameters: [{ size: 314159 }], payload: zeros(271828) })
    call.end()
    // Without a reader the stream does not come to its end.
    call.resume()
    const trailers = await ended
    assertOk(trailers)
    assertEchoed((await began)[0], trailers.metadata)
  },

  async status_code_and_message({ test }) {
    const client = test()
    const responseStatus = { code: 2, message: 'test status message' }
    const answer = await unary(client, { response_status: responseStatus })
    assert.deepEqual([answer.status.code, answer.status.details], [2, 'test status message'])

    const call = client.fullDuplexCall(new Metadata(), failsafe())
    const ended = statusOf(call)
    call.write({ response_status: responseStatus })
    call.end()
    call.resume()
    const { code, details } = await ended
    assert.deepEqual([code, details], [2, 'test status message'])
  },

  async special_status_message({ test }) {
    const message = '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n'
    const answer = await unary(test(), { response_status: { code: 2, message } })
    assert.deepEqual([answer.status.code, answer.status.details], [2, message])
  },

  async unimplemented_method({ test }) {
    const client = test()
    const answer = await callUnary(client, client.unimplementedCall, {})
    assert.equal(answer.status.code, status.UNIMPLEMENTED)
  },

  async unimplemented_service({ unimplemented }) {
    const client = unimplemented()
    const answer = await callUnary(client, client.unimplementedCall, {})
    assert.equal(answer.status.code, status.UNIMPLEMENTED)
  },

  async cancel_after_begin({ test }) {
    const call = test().streamingInputCall(new Metadata(), failsafe(), () => {})
    const ended = statusOf(call)
    call.cancel()
    assert.equal((await ended).code, status.CANCELLED)
  },

  async cancel_after_first_response({ test }) {
    const call = test().fullDuplexCall(new Metadata(), failsafe())
    const ended = statusOf(call)
    await exchange(call, { response_parameters: [{ size: 31415 }], payload: zeros(27182) })
    call.cancel()
    assert.equal((await ended).code, status.CANCELLED)
  },

  async timeout_on_sleeping_server({ test }) {
    const call = test().fullDuplexCall(new Metadata(), { deadline: Date.now() + 1 })
    const ended = statusOf(call)
    call.write({ payload: zeros(27182) })
    call.resume()
    assert.equal((await ended).code, status.DEADLINE_EXCEEDED)
  },

  async rpc_soak({ test }) {
    const client = test()
    for (let iteration = 0; iteration < 50; iteration++) await assertLarge(unary(client, largeRequest))
  },

  async channel_soak({ test }) {
    for (let iteration = 0; iteration < 20; iteration++) {
      const client = test()
      await assertLarge(unary(client, largeRequest))
      client.close()
    }
  },

  /** Not one of the descriptions' yet ("TODO" there), but named by them. */
  async concurrent_large_unary({ test }) {
    const client = test()
    await Promise.all(Array.from({ length: 200 }, () => assertLarge(unary(client, largeRequest))))
  },
}

const firstReport: TestOrcaReport = {
  cpu_utilization: 0.821,
  memory_utilization: 0.5847,
  utilization: [{ key: 'util', value: 0.30499 }],
}
const secondReport: TestOrcaReport = {
  cpu_utilization: 0.29309,
  memory_utilization: 0.2,
  utilization: [{ key: 'util', value: 0.2039 }],
}

/** What the mesh read of a report, in the words of the request for it. */
function asRequested({ cpuUtilization, memUtilization, utilization, requestCost }: LoadReport): TestOrcaReport {
  return {
    cpu_utilization: cpuUtilization,
    memory_utilization: memUtilization,
    utilization: entries(utilization),
    ...(requestCost.size > 0 && { request_cost: entries(requestCost) }),
  }
}

const entries = (map: ReadonlyMap<string, number>) => Array.from(map, ([key, value]) => ({ key, value }))

/**
 * The cases of load reports (gRFC A51). The descriptions read them in a balancing policy of the test's own; a mesh takes none, so here they
 * are what its own policy reads: the trailers of a call, and the stream beside the calls.
 */
export const loadReportCases: Readonly<Record<string, InteropCase>> = {
  async orca_per_rpc({ test }) {
    const report = { ...firstReport, request_cost: [{ key: 'cost', value: 3456.32 }] }
    const { status } = await unary(test(), { orca_per_query_report: report })
    assertOk(status)
    const read = loadReportOf(name => status.metadata.get(name)[0])
    assert.deepEqual(read && asRequested(read), report)
  },

  async orca_oob({ test, channel }) {
    const reports = new EventEmitter()
    const onReport = (report: LoadReport) => reports.emit('report', asRequested(report))
    const stream = new LoadReportStream({ channel: channel(), periodMs: 1000, runtime: systemRuntime, onReport })
    const call = test().fullDuplexCall(new Metadata(), failsafe())
    const ended = statusOf(call)
    try {
      for (const report of [firstReport, secondReport]) {
        const arrived = arrivalOf(reports, report)
        await exchange(call, { orca_oob_report: report, response_parameters: [{ size: 1 }] })
        await Promise.race([arrived, ended.then(({ details }) => assert.fail(details))])
      }
      call.end()
      call.resume()
      assertOk(await ended)
    } finally {
      stream.close()
    }
  },
}

/** Resolves when `report` is among those reported; what is still on its way may be older. */
function arrivalOf(reports: EventEmitter, report: TestOrcaReport): Promise<void> {
  return new Promise(resolve => {
    const look = (read: TestOrcaReport) => {
      if (!isDeepStrictEqual(read, report)) return
      reports.off('report', look)
      resolve()
    }
    reports.on('report', look)
  })
}

/** Whether each message of an answer was compressed, by the word of the server: grpc-js does not tell. */
const sentCompressed = ({ metadata }: StatusObject) => metadata.get('x-sent-compressed').join(', ')

/** The cases that need a server with `CompressedRequest` and `CompressedResponse`. */
export const compressionCases: Readonly<Record<string, InteropCase>> = {
  async client_compressed_unary({ test }) {
    const plain = test()
    const probe = await unary(plain, { ...largeRequest, expect_compressed: { value: true } })
    assert.equal(probe.status.code, status.INVALID_ARGUMENT, probe.status.details)
    await assertLarge(unary(test(gzip), { ...largeRequest, expect_compressed: { value: true } }))
    await assertLarge(unary(plain, { ...largeRequest, expect_compressed: { value: false } }))
  },

  async server_compressed_unary({ test }) {
    for (const value of [true, false]) {
      const { status } = await assertLarge(unary(test(), { ...largeRequest, response_compressed: { value } }))
      assert.equal(sentCompressed(status), String(value))
    }
  },

  async client_compressed_streaming({ test }) {
    const client = test(gzip)
    const probe = await upload(client, [{ size: 27182, expectCompressed: true, compressed: false }])
    assert.equal(probe.status.code, status.INVALID_ARGUMENT, probe.status.details)
    const { status: end, size } = await upload(client, [
      { size: 27182, expectCompressed: true },
      { size: 45904, expectCompressed: false, compressed: false },
    ])
    assertOk(end)
    assert.equal(size, 73086)
  },

  async server_compressed_streaming({ test }) {
    const call = test().streamingOutputCall(
      {
        response_parameters: [
          { size: 31415, compressed: { value: true } },
          { size: 92653, compressed: { value: false } },
        ],
      },
      new Metadata(),
      failsafe(),
    )
    const ended = statusOf(call)
    const sizes: (number | undefined)[] = []
    for await (const message of call) sizes.push((message as StreamingOutputCallResponse).payload?.body.length)
    const end = await ended
    assertOk(end)
    assert.deepEqual(sizes, [31415, 92653])
    assert.equal(sentCompressed(end), 'true, false')
  },
}

/** `per_rpc_creds`, with a token that nobody signed: credentials of the channel and of the call, and both at once. */
export const credentialCases: Readonly<Record<string, InteropCase>> = {
  async per_rpc_creds({ test }) {
    const credentials = credentialKinds.createFromMetadataGenerator((_parameters, done) => {
      const metadata = new Metadata()
      metadata.set('authorization', 'Bearer someone@test.example')
      setImmediate(() => done(null, metadata))
    })
    const client = test()
    const { response } = await assertLarge(unary(client, { ...largeRequest, fill_username: true }, undefined, { credentials }))
    assert.equal(response?.username, 'someone@test.example')
    const without = await assertLarge(unary(client, { ...largeRequest, fill_username: true }))
    assert.equal(without.response?.username, '')
  },
}
