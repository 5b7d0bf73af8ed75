import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { suite, type TestContext, test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { grpcClientOn } from '../../../src/client/grpc/grpc-client.ts'
import { MeshChannel } from '../../../src/client/grpc/mesh-channel.ts'
import { makeCluster, makeRetryPolicy, makeRoute, makeTarget, makeVirtualHost } from '../../support/fake-config-source.ts'
import { callUnary, EchoClient, type GrpcBackend, startGrpcBackend } from '../../support/grpc-backend.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { makeMesh } from '../../support/test-mesh.ts'
import { makeTls } from '../../support/tls-model.ts'
import { until } from '../../support/until.ts'

/** An endpoint that accepts connections and says nothing on them, until it is told to pass them on to `backend`. */
async function startSilent(t: TestContext, backend: GrpcBackend) {
  const sockets: Socket[] = []
  const state = { connections: 0, passesOn: false }
  const server = createServer(socket => {
    state.connections++
    sockets.push(socket)
    socket.on('error', () => {})
    if (!state.passesOn) return
    const further = connect(backend.port, '127.0.0.1')
    sockets.push(further)
    further.on('error', () => {})
    socket.pipe(further).pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return Object.assign(state, { address: `127.0.0.1:${(server.address() as AddressInfo).port}` })
}

async function setUp(t: TestContext, withAlive = true) {
  const [alive, behind] = await Promise.all([startGrpcBackend(t), startGrpcBackend(t)])
  const silent = await startSilent(t, behind)
  const clock = new ManualClock(Date.now())
  const { plane, source, telemetry } = makeMesh(t, { clock })
  const retryPolicy = makeRetryPolicy({ retryOn: ['5xx'], perTryTimeoutMs: 500, numRetries: 0 })
  source.set({
    targets: { echo: makeTarget([makeVirtualHost([makeRoute('c', { retryPolicy })])]) },
    clusters: [makeCluster('c', [silent.address, ...(withAlive ? [alive.address] : [])], { connectTimeoutMs: 3000 })],
  })
  const channel = (target: string) => new MeshChannel(plane, authority => plane.watch(authority, 'http'), target)
  const client = grpcClientOn({ channel }, EchoClient, 'xds:///echo', {})
  t.after(() => client.close())
  /** Makes a call that times out as a whole if it waits for a connection. */
  const call = async () => (await callUnary(client, 'x', { deadline: Date.now() + 2000 })).code
  return { alive, behind, silent, clock, telemetry, client, call }
}

suite('an endpoint whose connection does not come', () => {
  test('is passed over after the connect timeout of its cluster, whatever the time of a try, and after that at once', async t => {
    const { alive, silent, clock, client, telemetry, call } = await setUp(t)
    let ended = 0
    const calls = [0, 1, 2, 3].map(() => callUnary(client, 'x').finally(() => ended++))
    await until(() => silent.connections === 1 && ended === 2)
    await clock.advanceAsync(2900, 100)
    assert.equal(ended, 2)
    await clock.advanceAsync(200, 10)
    assert.deepEqual(
      (await Promise.all(calls)).map(({ code }) => code),
      [0, 0, 0, 0],
    )
    assert.equal(telemetry.finished.at(-1)?.outcome.attempts, 2)
    for (let number = 0; number < 4; number++) assert.equal(await call(), grpc.status.OK)
    assert.deepEqual([alive.seen.length, silent.connections], [8, 1])
  })

  test('is the reason of the status when there is no other', async t => {
    const { clock, client, silent } = await setUp(t, false)
    const result = callUnary(client, 'x')
    await until(() => silent.connections === 1)
    await clock.advanceAsync(3100, 100)
    const { code, details } = await result
    assert.equal(code, grpc.status.UNAVAILABLE)
    assert.equal(details, `cluster c: endpoint ${silent.address}: No connection established within 3000 ms`)
  })

  test('is connected anew after 20 s, beside the calls, and called again once it is there', async t => {
    const { behind, clock, client, silent, call } = await setUp(t)
    const results = [callUnary(client, 'x'), callUnary(client, 'x')]
    await until(() => silent.connections === 1)
    await clock.advanceAsync(3100, 100)
    for (const result of results) assert.equal((await result).code, grpc.status.OK)
    silent.passesOn = true
    await clock.advanceAsync(16_000, 1000)
    for (let number = 0; number < 4; number++) assert.equal(await call(), grpc.status.OK)
    assert.deepEqual([behind.seen.length, silent.connections], [0, 1])
    await clock.advanceAsync(1000)
    for (let number = 0; number < 2; number++) assert.equal(await call(), grpc.status.OK)
    await until(() => silent.connections === 2)
    await until(
      () => behind.seen.length > 0,
      async () => {
        assert.equal(await call(), grpc.status.OK)
      },
    )
  })

  test('fails no call by the number of such endpoints', async t => {
    const count = 3000
    const { plane, source } = makeMesh(t)
    const addresses = Array.from({ length: count }, (_, index) => `127.0.0.1:${index + 1}`)
    const noIdentity = {
      certificate: { kind: 'provider', instance: 'none' },
      trust: { kind: 'provider', instance: 'none' },
    } as const
    source.set({
      targets: { echo: makeTarget([makeVirtualHost([makeRoute('c')])]) },
      clusters: [makeCluster('c', addresses, { tls: makeTls(noIdentity) })],
    })
    const channel = (target: string) => new MeshChannel(plane, authority => plane.watch(authority, 'http'), target)
    const client = grpcClientOn({ channel }, EchoClient, 'xds:///echo', {})
    t.after(() => client.close())
    const { code, details } = await callUnary(client, 'x')
    assert.equal(code, grpc.status.UNAVAILABLE)
    assert.match(details, /^cluster c: endpoint 127\.0\.0\.1:\d+: /)
  })
})
