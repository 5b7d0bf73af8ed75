import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { grpcClientOn } from '../../../src/client/grpc/grpc-client.ts'
import { MeshChannel, type MeshChannelOptions } from '../../../src/client/grpc/mesh-channel.ts'
import type { ForwardAction, Route } from '../../../src/discovery/model/route.ts'
import { defaultRetryPolicy } from '../../../src/policies/retry.ts'
import { makeCluster, makeRoute, makeTarget, makeVirtualHost } from '../../support/fake-config-source.ts'
import { callUnary, EchoClient, type GrpcBackend, type StreamAnswer, startGrpcBackend } from '../../support/grpc-backend.ts'
import { makeMesh, type TestMeshOptions } from '../../support/test-mesh.ts'
import { until } from '../../support/until.ts'

const { status: Status } = grpc
const retry = { ...defaultRetryPolicy, backOff: { baseIntervalMs: 1, maxIntervalMs: 2 } }
const metadataOf = (entries: Readonly<Record<string, string | Buffer>>) => {
  const metadata = new grpc.Metadata()
  for (const [name, value] of Object.entries(entries)) metadata.set(name, value)
  return metadata
}

/** A mesh whose authority `echo` leads to the given backends. */
function meshOf(
  t: TestContext,
  backends: readonly GrpcBackend[],
  { action = {}, routes, ...options }: TestMeshOptions & { action?: Partial<ForwardAction>; routes?: readonly Route[] } = {},
) {
  const mesh = makeMesh(t, options)
  mesh.source.set({
    targets: { echo: makeTarget([makeVirtualHost(routes ?? [makeRoute('c', action)])]) },
    clusters: [
      makeCluster(
        'c',
        backends.map(({ address }) => address),
      ),
    ],
  })
  const channel = (target: string, channelOptions?: MeshChannelOptions) =>
    new MeshChannel(mesh.plane, authority => mesh.plane.watch(authority, 'http'), target, channelOptions)
  const client = (clientOptions: Parameters<typeof grpcClientOn>[3] = {}) => {
    const made = grpcClientOn({ channel }, EchoClient, 'xds:///echo', clientOptions)
    t.after(() => made.close())
    return made
  }
  return { ...mesh, channel, client }
}

suite('a gRPC channel through the mesh', () => {
  test('carries a unary call: message, metadata of every kind, trailers, authority and peer', async t => {
    const backend = await startGrpcBackend(t)
    const { client, telemetry } = meshOf(t, [backend])
    const metadata = metadataOf({ 'x-echo': 'there', 'x-echo-bin': Buffer.from([0, 255]) })
    const { reply, code, initial, trailers, peer } = await callUnary(client(), 'hello', { metadata })
    assert.deepEqual([code, String(reply)], [0, 'hello'])
    assert.deepEqual(initial?.get('x-echo'), ['there'])
    assert.deepEqual(initial?.get('x-echo-bin'), [Buffer.from([0, 255])])
    assert.deepEqual(trailers?.get('x-trailer'), ['end'])
    assert.equal(backend.seen[0]?.authority, 'echo')
    assert.equal(peer, backend.address)
    const [finished] = telemetry.finished
    assert.equal(finished?.outcome.path, '/test.Echo/Unary')
    assert.deepEqual([finished?.outcome.requestBytes, finished?.outcome.responseBytes], [5, 5])
  })

  test('a status has what grpc-js says that it has, and nothing more', async t => {
    const backend = await startGrpcBackend(t)
    const client = meshOf(t, [backend]).client()
    const call = client.Unary(Buffer.from('a'), () => {})
    const status = await new Promise<grpc.StatusObject>(resolve => call.on('status', resolve))
    assert.deepEqual(Object.keys(status), ['code', 'details', 'metadata'])
  })

  test('streams from the client, to the client and both ways', async t => {
    const backend = await startGrpcBackend(t)
    const client = meshOf(t, [backend]).client()

    const collected = await new Promise<Buffer | undefined>((resolve, reject) => {
      const call = client.ClientStream((error, reply) => (error === null ? resolve(reply) : reject(error)))
      for (const part of ['a', 'b', 'c']) call.write(Buffer.from(part))
      call.end()
    })
    assert.equal(String(collected), 'abc')

    const parts: number[] = []
    for await (const part of client.ServerStream(Buffer.from([1, 2, 3]))) parts.push(part[0])
    assert.deepEqual(parts, [1, 2, 3])

    const bidi = client.Bidi()
    const echoed: string[] = []
    bidi.write(Buffer.from('0'))
    for await (const part of bidi) {
      echoed.push(String(part))
      if (echoed.length === 3) bidi.end()
      else bidi.write(Buffer.from(String(echoed.length)))
    }
    assert.deepEqual(echoed, ['0', '1', '2'])
  })

  test('calls are balanced one by one', async t => {
    const backends = await Promise.all([startGrpcBackend(t), startGrpcBackend(t)])
    const client = meshOf(t, backends).client()
    for (let call = 0; call < 10; call++) await callUnary(client, 'x')
    assert.deepEqual(
      backends.map(({ seen }) => seen.length),
      [5, 5],
    )
  })

  test('calls are routed by service and method, by metadata, and by content type', async t => {
    const [plain, special] = await Promise.all([startGrpcBackend(t), startGrpcBackend(t)])
    const base = makeRoute('special')
    const routes = [
      makeRoute(
        'special',
        {},
        { match: { ...base.match, path: { kind: 'exact', value: '/test.Echo/ServerStream', ignoreCase: false } } },
      ),
      makeRoute(
        'special',
        {},
        {
          match: {
            ...base.match,
            grpcOnly: true,
            headers: [
              {
                name: 'x-user',
                invert: false,
                treatMissingAsEmpty: false,
                match: { kind: 'string', matcher: { kind: 'exact', value: 'jason', ignoreCase: false } },
              },
            ],
          },
        },
      ),
      makeRoute('c'),
    ]
    const { client, source } = meshOf(t, [plain], { routes: routes as never })
    source.set({ clusters: [makeCluster('special', [special.address])] })
    const stub = client()
    await callUnary(stub, 'x')
    await callUnary(stub, 'x', { metadata: metadataOf({ 'x-user': 'jason' }) })
    for await (const _ of stub.ServerStream(Buffer.from([1])));
    assert.deepEqual(
      [plain.seen, special.seen].map(seen => seen.map(({ method }) => method)),
      [['Unary'], ['Unary', 'ServerStream']],
    )
  })

  test('a header of several values is matched as one (gRFC A28)', async t => {
    const [plain, special] = await Promise.all([startGrpcBackend(t), startGrpcBackend(t)])
    const { match } = makeRoute('special')
    const header = (value: string) => ({
      name: 'x-user',
      invert: false,
      treatMissingAsEmpty: false,
      match: { kind: 'string', matcher: { kind: 'exact', value, ignoreCase: false } } as const,
    })
    const routes = [
      makeRoute('c', {}, { match: { ...match, headers: [header('jason')] } }),
      makeRoute('special', {}, { match: { ...match, headers: [header('jason,eve')] } }),
    ]
    const { client, source } = meshOf(t, [plain], { routes })
    source.set({ clusters: [makeCluster('special', [special.address])] })
    const metadata = metadataOf({ 'x-user': 'jason' })
    metadata.add('x-user', 'eve')
    assert.equal((await callUnary(client(), 'x', { metadata })).code, 0)
    assert.deepEqual([plain.seen.length, special.seen.length], [0, 1])
  })

  test('a status of the server comes through with its details and trailers', async t => {
    const backend = await startGrpcBackend(t, (_call, callback) => {
      callback({ code: Status.NOT_FOUND, details: 'no such thing', metadata: metadataOf({ 'x-why': 'gone' }) })
      return true
    })
    const { code, details, trailers } = await callUnary(meshOf(t, [backend]).client(), 'x')
    assert.deepEqual([code, details, trailers?.get('x-why')], [Status.NOT_FOUND, 'no such thing', ['gone']])
  })

  test('a status that the policy names is retried, and the server is told how often', async t => {
    const backend = await startGrpcBackend(t, (_call, callback, number) => {
      if (number === 3) return false
      callback({ code: Status.UNAVAILABLE, details: 'not now' })
      return true
    })
    const { client, telemetry } = meshOf(t, [backend], {
      action: { retryPolicy: { ...retry, retryOn: ['unavailable'], numRetries: 2 } },
    })
    const { code, reply } = await callUnary(client(), 'hello')
    assert.deepEqual([code, String(reply)], [0, 'hello'])
    assert.deepEqual(
      backend.seen.map(({ metadata }) => metadata.get('grpc-previous-rpc-attempts')),
      [[], ['1'], ['2']],
    )
    assert.equal(telemetry.finished[0]?.outcome.attempts, 3)
  })

  test('spent retries give the last status, and one that is not named is not retried', async t => {
    const backend = await startGrpcBackend(t, (_call, callback, number) => {
      callback({ code: number < 3 ? Status.UNAVAILABLE : Status.ABORTED, details: `answer ${number}` })
      return true
    })
    const { client } = meshOf(t, [backend], { action: { retryPolicy: { ...retry, retryOn: ['unavailable'], numRetries: 1 } } })
    assert.equal((await callUnary(client(), 'x')).details, 'answer 2')
    assert.equal((await callUnary(client(), 'x')).details, 'answer 3')
    assert.equal(backend.seen.length, 3)
  })

  test('a stream of messages is sent whole by another attempt, and by none once it is over the cap', async t => {
    const refuseOnce: StreamAnswer = (call, callback, number) => {
      if (number % 2 === 0) return false
      call.once('data', () => callback({ code: Status.UNAVAILABLE, details: 'not now' }))
      return true
    }
    const backend = await startGrpcBackend(t, undefined, { clientStream: refuseOnce })
    const retryPolicy = { ...retry, retryOn: ['unavailable'], numRetries: 1 } as const
    const { client } = meshOf(t, [backend], { action: { retryPolicy }, environment: { maxReplayBytes: 10 } })
    const send = (parts: readonly string[]) =>
      new Promise<string>(resolve => {
        const call = client().ClientStream((error, reply) => resolve(error === null ? String(reply) : error.details))
        for (const part of parts) call.write(Buffer.from(part))
        call.end()
      })
    assert.equal(await send(['abc', 'def', 'ghij']), 'abcdefghij')
    assert.equal(await send(['abc', 'def', 'ghijk']), 'not now')
    assert.equal(backend.seen.length, 3)
  })

  test('an endpoint that cannot be reached is passed over, with no retry policy at all', async t => {
    const [dead, alive] = await Promise.all([startGrpcBackend(t), startGrpcBackend(t)])
    const { client } = meshOf(t, [dead, alive])
    dead.kill()
    const stub = client()
    for (let call = 0; call < 6; call++) assert.equal((await callUnary(stub, 'x')).code, 0)
    assert.equal(alive.seen.length, 6)
  })

  test('a client is told how often its call was retried, with whatever comes of it (gRFC A6)', async t => {
    const backend = await startGrpcBackend(t, (_call, callback, number) => {
      if (number % 3 === 2) return false
      callback({ code: Status.UNAVAILABLE, details: 'not now' })
      return true
    })
    const { client } = meshOf(t, [backend], { action: { retryPolicy: { ...retry, retryOn: ['unavailable'], numRetries: 1 } } })
    const stub = client()
    const attemptsOf = ({ initial, trailers }: Awaited<ReturnType<typeof callUnary>>) =>
      [initial, trailers].map(metadata => metadata?.get('grpc-previous-rpc-attempts'))
    const told = []
    // Answered by the second attempt, refused by it, and answered by the first.
    for (let call = 0; call < 3; call++) told.push(attemptsOf(await callUnary(stub, 'x')))
    assert.deepEqual(told, [
      [['1'], ['1']],
      [undefined, ['1']],
      [[], []],
    ])
  })

  test('an endpoint that cannot be reached is passed over also with more to send than is kept for retries', async t => {
    const [dead, alive] = await Promise.all([startGrpcBackend(t), startGrpcBackend(t)])
    const { client } = meshOf(t, [dead, alive], { environment: { maxReplayBytes: 10 } })
    dead.kill()
    const stub = client()
    const long = 'longer than ten bytes'
    for (let call = 0; call < 4; call++) assert.equal(String((await callUnary(stub, long)).reply), long)
    const parts = Array.from({ length: 5 }, (_, index) => `${long} ${index}`)
    const collected = await new Promise<Buffer | undefined>((resolve, reject) => {
      const call = stub.ClientStream((error, reply) => (error === null ? resolve(reply) : reject(error)))
      for (const part of parts) call.write(Buffer.from(part))
      call.end()
    })
    assert.equal(String(collected), parts.join(''))
  })

  test('a server is told of the attempts that servers may have seen, not of those that were passed over (gRFC A6)', async t => {
    const [dead, alive] = await Promise.all([
      startGrpcBackend(t),
      startGrpcBackend(t, (_call, callback, number) => {
        if (number > 2) return false
        callback({ code: Status.UNAVAILABLE, details: 'not now' })
        return true
      }),
    ])
    const { client, telemetry } = meshOf(t, [dead, alive], {
      action: { retryPolicy: { ...retry, retryOn: ['unavailable'], numRetries: 2 } },
    })
    dead.kill()
    assert.equal((await callUnary(client(), 'x')).code, 0)
    assert.ok((telemetry.finished[0]?.outcome.attempts ?? 0) > 3)
    assert.deepEqual(
      alive.seen.map(({ metadata }) => metadata.get('grpc-previous-rpc-attempts')),
      [[], ['1'], ['2']],
    )
  })

  test('with nobody to reach, the status says who was tried', async t => {
    const dead = await startGrpcBackend(t)
    const { client } = meshOf(t, [dead])
    dead.kill()
    const { code, details } = await callUnary(client(), 'x')
    assert.equal(code, Status.UNAVAILABLE)
    assert.match(details, /^cluster c: endpoint 127\.0\.0\.1:\d+: No connection established\. Last error: .*ECONNREFUSED/)
  })

  test('what the mesh itself finds wrong is UNAVAILABLE, with its message', async t => {
    const mesh = makeMesh(t)
    const { source, plane } = mesh
    source.set({
      targets: {
        none: makeTarget([makeVirtualHost([])]),
        empty: makeTarget([makeVirtualHost([makeRoute('empty')])]),
        missing: makeTarget([makeVirtualHost([makeRoute('missing')])]),
        unknown: { kind: 'failed', reason: 'does-not-exist', message: 'no such listener' } as never,
      },
      clusters: [makeCluster('empty', [])],
    })
    const channel = (target: string) => new MeshChannel(plane, authority => plane.watch(authority, 'http'), target)
    for (const [target, details] of [
      ['none', /no route of virtual host everything matches POST \/test.Echo\/Unary/],
      ['empty', /^cluster empty: no healthy upstream: it has no endpoints/],
      ['missing', /^cluster missing, named by route everything of virtual host everything: not found/],
      ['unknown', /^host unknown: not in the mesh: no such listener/],
    ] as const) {
      const client = grpcClientOn({ channel }, EchoClient, target, {})
      const result = await callUnary(client, 'x')
      assert.equal(result.code, Status.UNAVAILABLE, target)
      assert.match(result.details, details)
      client.close()
    }
  })

  test('a call waits for the configuration of its authority', async t => {
    const backend = await startGrpcBackend(t)
    const { plane, source } = makeMesh(t)
    const channel = (target: string) => new MeshChannel(plane, authority => plane.watch(authority, 'http'), target)
    const client = grpcClientOn({ channel }, EchoClient, 'echo', {})
    t.after(() => client.close())
    const result = callUnary(client, 'early')
    source.set({
      targets: { echo: makeTarget([makeVirtualHost([makeRoute('c')])]) },
      clusters: [makeCluster('c', [backend.address])],
    })
    assert.equal(String((await result).reply), 'early')
  })

  test('calls beyond what a connection carries get another one (gRFC A105)', async t => {
    const held: (() => void)[] = []
    const all = Promise.withResolvers<void>()
    const backend = await startGrpcBackend(
      t,
      (call, callback) => {
        held.push(() => callback(null, call.request))
        if (held.length === 250) all.resolve()
        return true
      },
      { options: { 'grpc.max_concurrent_streams': 100 } },
    )
    const client = meshOf(t, [backend]).client()
    const results = Array.from({ length: 250 }, () => callUnary(client, 'x'))
    await all.promise
    for (const answer of held) answer()
    assert.deepEqual(new Set((await Promise.all(results)).map(({ code }) => code)), new Set([0]))
  })

  test('the deadline of the client reaches the server, and ends the call', async t => {
    const told: unknown[] = []
    const backend = await startGrpcBackend(t, call => {
      told.push(call.getDeadline())
      return true
    })
    const { client } = meshOf(t, [backend])
    const deadline = Date.now() + 500
    const { code, details } = await callUnary(client(), 'x', { deadline })
    assert.equal(code, Status.DEADLINE_EXCEEDED)
    assert.match(details, /Deadline exceeded|request timeout/)
    assert.ok(Math.abs(Number(told[0]) - deadline) <= 400, `${told[0]} is about ${deadline}`)
  })

  test('the longest stream of the route shortens the deadline (gRFC A31)', async t => {
    const backend = await startGrpcBackend(t, () => true)
    const maxStreamDuration = {
      maxStreamDurationMs: 20,
      grpcTimeoutHeaderMaxMs: undefined,
      grpcTimeoutHeaderOffsetMs: undefined,
    }
    const { client } = meshOf(t, [backend], { action: { maxStreamDuration, timeoutMs: 1 } })
    assert.equal((await callUnary(client(), 'x', { deadline: Date.now() + 60_000 })).code, Status.DEADLINE_EXCEEDED)
  })

  test('a deadline ends a call that waits for its configuration', async t => {
    const { plane } = makeMesh(t)
    const channel = (target: string) => new MeshChannel(plane, authority => plane.watch(authority, 'http'), target)
    const client = grpcClientOn({ channel }, EchoClient, 'echo', {})
    t.after(() => client.close())
    assert.equal((await callUnary(client, 'x', { deadline: Date.now() + 20 })).code, Status.DEADLINE_EXCEEDED)
  })

  test('cancelling ends the call on both sides', async t => {
    const arrived = Promise.withResolvers<void>()
    const cancelled = Promise.withResolvers<void>()
    const backend = await startGrpcBackend(t, call => {
      arrived.resolve()
      call.on('cancelled', () => cancelled.resolve())
      return true
    })
    const { client, telemetry } = meshOf(t, [backend])
    const result = callUnary(client(), 'x')
    await arrived.promise
    result.call.cancel()
    assert.equal((await result).code, Status.CANCELLED)
    await cancelled.promise
    assert.equal(telemetry.finished[0]?.outcome.flag, 'DC')
  })

  test('interceptors, call credentials and limits of message size are those of the client', async t => {
    const backend = await startGrpcBackend(t)
    const { client } = meshOf(t, [backend])
    const seen: string[] = []
    const interceptor: grpc.Interceptor = (options, nextCall) =>
      new grpc.InterceptingCall(nextCall(options), {
        start(metadata, listener, next) {
          seen.push('start')
          metadata.set('x-echo', 'intercepted')
          next(metadata, listener)
        },
      })
    const { initial } = await callUnary(client({ interceptors: [interceptor] }), 'x')
    assert.deepEqual([seen, initial?.get('x-echo')], [['start'], ['intercepted']])

    const small = client({ 'grpc.max_receive_message_length': 4 })
    assert.equal((await callUnary(small, 'too long')).code, Status.RESOURCE_EXHAUSTED)

    const credentials = grpc.credentials.createFromMetadataGenerator((_params, done) =>
      done(null, metadataOf({ 'x-echo': 'mine' })),
    )
    assert.deepEqual((await callUnary(client(), 'x', { credentials })).initial?.get('x-echo'), ['mine'])
  })

  test('waitForReady is told when an endpoint is connected, and when there is none by the deadline', async t => {
    const backend = await startGrpcBackend(t)
    const { client } = meshOf(t, [backend])
    await new Promise<void>((resolve, reject) => {
      client().waitForReady(Date.now() + 5000, error => (error === undefined ? resolve() : reject(error)))
    })
    const dead = await startGrpcBackend(t)
    dead.kill()
    const stub = meshOf(t, [dead]).client()
    await assert.rejects(
      new Promise<void>((resolve, reject) => {
        stub.waitForReady(Date.now() + 100, error => (error === undefined ? resolve() : reject(error)))
      }),
      /Failed to connect before the deadline|Deadline passed/,
    )
  })

  test('its state is told to whoever watches it, beyond the endpoint that stood for it', async t => {
    const [backend, other] = await Promise.all([startGrpcBackend(t), startGrpcBackend(t)])
    const { client, source, plane } = meshOf(t, [backend])
    const { READY, IDLE, SHUTDOWN } = grpc.connectivityState
    const channel = client().getChannel()
    const states: grpc.connectivityState[] = []
    const watch = () =>
      channel.watchConnectivityState(channel.getConnectivityState(false), Number.POSITIVE_INFINITY, error => {
        states.push(channel.getConnectivityState(false))
        if (error === undefined && states.at(-1) !== SHUTDOWN) watch()
      })
    channel.getConnectivityState(true)
    watch()
    await until(() => states.at(-1) === READY)
    const { used } = [...(plane.clusters.handle('c').cluster?.endpoints() ?? [])][0] ?? assert.fail('no endpoint')
    backend.kill()
    await until(() => states.at(-1) === IDLE)
    source.set({ clusters: [makeCluster('c', [other.address])] })
    await until(() => [...(used?.grpc?.channels() ?? [])].length === 0)
    channel.getConnectivityState(true)
    await until(() => states.at(-1) === READY)
  })

  test('who begins to watch a channel that is connected hears that it is not any more', async t => {
    const backend = await startGrpcBackend(t)
    const { client } = meshOf(t, [backend])
    const stub = client()
    const channel = stub.getChannel()
    await new Promise(resolve => stub.waitForReady(Number.POSITIVE_INFINITY, resolve))
    const isOver = new Promise<Error | undefined>(resolve =>
      channel.watchConnectivityState(grpc.connectivityState.READY, Date.now() + 3000, resolve),
    )
    backend.kill()
    assert.equal(await isOver, undefined)
  })
})
