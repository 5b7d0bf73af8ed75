import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { suite, type TestContext, test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { grpcClientOn } from '../../../src/client/grpc/grpc-client.ts'
import { MeshChannel } from '../../../src/client/grpc/mesh-channel.ts'
import type { ForwardAction } from '../../../src/discovery/model/route.ts'
import { makeCluster, makeRetryPolicy, makeRoute, makeTarget, makeVirtualHost } from '../../support/fake-config-source.ts'
import { callUnary, EchoClient, startGrpcBackend } from '../../support/grpc-backend.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { makeMesh } from '../../support/test-mesh.ts'
import { until } from '../../support/until.ts'

const { status: Status, propagate } = grpc

/** A client whose endpoint says nothing, on a clock of its own, and the call that it is made in the service of. */
async function setUp(
  t: TestContext,
  { action = {}, deadline = Number.POSITIVE_INFINITY }: { action?: Partial<ForwardAction>; deadline?: number } = {},
) {
  const backend = await startGrpcBackend(t, () => true)
  const clock = new ManualClock(Date.now())
  const { plane, source, telemetry } = makeMesh(t, { clock, random: () => 0 })
  const configure = () =>
    source.set({
      targets: { echo: makeTarget([makeVirtualHost([makeRoute('c', action)])]) },
      clusters: [makeCluster('c', [backend.address])],
    })
  const channel = (target: string) => new MeshChannel(plane, authority => plane.watch(authority, 'http'), target)
  const client = grpcClientOn({ channel }, EchoClient, 'xds:///echo', {})
  t.after(() => client.close())
  const parent = Object.assign(new EventEmitter(), { getDeadline: () => deadline }) as unknown as grpc.ServerUnaryCall<
    Buffer,
    Buffer
  >
  return { backend, clock, telemetry, client, parent, configure }
}
const retrying = (...retryOn: ('cancelled' | 'deadline-exceeded')[]) => ({ retryPolicy: makeRetryPolicy({ retryOn }) })

suite('a call in the service of another', () => {
  test('ends with it, and is not retried', async t => {
    const { backend, client, parent, telemetry, configure } = await setUp(t, { action: retrying('cancelled') })
    configure()
    const result = callUnary(client, 'x', { parent })
    await until(() => backend.seen.length === 1)
    parent.emit('cancelled', 'cancelled')
    const { code, details } = await result
    assert.deepEqual([code, details], [Status.CANCELLED, 'Cancelled by parent call'])
    assert.deepEqual([telemetry.finished[0]?.outcome.attempts, telemetry.finished[0]?.outcome.flag], [1, 'DC'])
  })

  test('ends with it also while it waits for its configuration', async t => {
    const { client, parent } = await setUp(t)
    const result = callUnary(client, 'x', { parent })
    parent.emit('cancelled', 'cancelled')
    assert.equal((await result).code, Status.CANCELLED)
  })

  test('has its deadline, if that is nearer', async t => {
    const deadline = Date.now() + 3000
    const { client, clock, parent } = await setUp(t, { deadline })
    const results = [
      callUnary(client, 'x', { parent }),
      callUnary(client, 'x', { parent, deadline: deadline + 2000 }),
      callUnary(client, 'x', { parent, deadline: deadline - 2000 }),
    ]
    const ended: number[] = []
    results.forEach((result, index) => void result.finally(() => ended.push(index)))
    await clock.advanceAsync(2000, 50)
    assert.deepEqual(ended, [2])
    await clock.advanceAsync(1100, 50)
    assert.deepEqual(ended.toSorted(), [0, 1, 2])
    for (const result of results) assert.equal((await result).code, Status.DEADLINE_EXCEEDED)
  })

  test('has that of the request that is being served, if that is nearer, and nothing is sent after it', async t => {
    const { backend, client, clock, telemetry, configure } = await setUp(t)
    configure()
    telemetry.requestDeadlineAt = 3000
    const results = [callUnary(client, 'x'), callUnary(client, 'x', { deadline: clock.wallNow() + 1000 })]
    await until(() => backend.seen.length === 2)
    const [inherited, own] = backend.seen.map(({ deadline }) => deadline - clock.wallNow())
    assert.ok(inherited !== undefined && inherited > 2000 && inherited <= 3010, String(inherited))
    assert.ok(own !== undefined && own <= 1010, String(own))
    await clock.advanceAsync(3100, 50)
    for (const result of results) assert.equal((await result).code, Status.DEADLINE_EXCEEDED)
    assert.equal((await callUnary(client, 'x')).code, Status.DEADLINE_EXCEEDED)
    assert.deepEqual([telemetry.finished[2]?.outcome.attempts, telemetry.finished[2]?.outcome.flag], [0, 'UT'])
  })

  test('does neither where its client says so', async t => {
    const { client, clock, parent, telemetry } = await setUp(t, { deadline: Date.now() + 1000 })
    telemetry.requestDeadlineAt = 1000
    const result = callUnary(client, 'x', {
      parent,
      propagate_flags: propagate.DEFAULTS & ~propagate.CANCELLATION & ~propagate.DEADLINE,
    })
    let isOver = false
    void result.finally(() => {
      isOver = true
    })
    parent.emit('cancelled', 'cancelled')
    await clock.advanceAsync(2000, 50)
    assert.equal(isOver, false)
    result.call.cancel()
    await result
  })
})

suite('the deadline of a call', () => {
  test('is that of all attempts: what runs into it is not retried (gRFC A6)', async t => {
    const maxStreamDuration = { maxStreamDurationMs: 30, grpcTimeoutHeaderMaxMs: undefined, grpcTimeoutHeaderOffsetMs: undefined }
    for (const [action, options, flag] of [
      [{ maxStreamDuration }, {}, 'DT'],
      [{}, { deadline: 30 }, 'UT'],
    ] as const) {
      const { backend, client, telemetry, configure } = await setUp(t, {
        action: { ...action, ...retrying('deadline-exceeded') },
      })
      configure()
      const result = callUnary(client, 'x', 'deadline' in options ? { deadline: Date.now() + options.deadline } : {})
      assert.equal((await result).code, Status.DEADLINE_EXCEEDED)
      const { outcome } = telemetry.finished[0] ?? {}
      assert.deepEqual([backend.seen.length, outcome?.attempts, outcome?.flag], [1, 1, flag])
    }
  })
})
