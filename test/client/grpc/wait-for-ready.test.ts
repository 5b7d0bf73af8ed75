import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { grpcClientOn } from '../../../src/client/grpc/grpc-client.ts'
import { MeshChannel } from '../../../src/client/grpc/mesh-channel.ts'
import type { ClusterState, TargetState } from '../../../src/discovery/model/mesh-config.ts'
import { defaultThresholds } from '../../../src/policies/circuit-breaker.ts'
import { makeCluster, makeRoute, makeTarget, makeVirtualHost } from '../../support/fake-config-source.ts'
import { callUnary, EchoClient, startGrpcBackend } from '../../support/grpc-backend.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { makeMesh } from '../../support/test-mesh.ts'
import { until } from '../../support/until.ts'

const toCluster = makeTarget([makeVirtualHost([makeRoute('c')])])
const nowhere: TargetState = { kind: 'failed', reason: 'does-not-exist', message: 'no such listener' }
const waiting = () => new grpc.Metadata({ waitForReady: true })

/** A client of the authority `echo`, on a clock of its own. */
function clientOf(t: TestContext, clusters: readonly ClusterState[], target: TargetState = toCluster) {
  const clock = new ManualClock(Date.now())
  const { plane, source, telemetry } = makeMesh(t, { clock })
  source.set({ targets: { echo: target }, clusters })
  const channel = (name: string) => new MeshChannel(plane, authority => plane.watch(authority, 'http'), name)
  const client = grpcClientOn({ channel }, EchoClient, 'xds:///echo', {})
  t.after(() => client.close())
  return { clock, source, telemetry, client }
}

suite('a call that waits for ready', () => {
  test('goes to who can be reached, and waits for nobody else', async t => {
    const [dead, alive] = await Promise.all([startGrpcBackend(t), startGrpcBackend(t)])
    dead.kill()
    const { client } = clientOf(t, [makeCluster('c', [dead.address, alive.address])])
    for (let call = 0; call < 4; call++) {
      const { code } = await callUnary(client, 'x', { metadata: waiting() })
      assert.equal(code, 0)
    }
    assert.equal(alive.seen.length, 4)
  })

  for (const [what, before, after] of [
    ['an endpoint', { clusters: [makeCluster('c', [])] }, {}],
    ['somebody who can be reached', { clusters: [makeCluster('c', ['127.0.0.1:1'])] }, {}],
    ['its cluster', { clusters: [] }, {}],
    ['its listener', { clusters: [], target: nowhere }, { targets: { echo: toCluster } }],
  ] as const) {
    test(`waits for ${what}`, async t => {
      const backend = await startGrpcBackend(t)
      const { clock, source, telemetry, client } = clientOf(t, before.clusters, 'target' in before ? before.target : toCluster)
      let isOver = false
      const result = callUnary(client, 'hello', { metadata: waiting() }).finally(() => {
        isOver = true
      })
      await until(() => clock.pendingTimers > 0)
      await clock.advanceAsync(5000, 500)
      assert.equal(isOver, false)
      source.set({ ...after, clusters: [makeCluster('c', [backend.address])] })
      await until(
        () => isOver,
        () => clock.advanceAsync(100),
      )
      const { code, reply } = await result
      assert.deepEqual([code, String(reply)], [0, 'hello'])
      assert.equal(telemetry.finished.length, 1)
    })
  }

  test('waits no longer than its deadline, and says for what', async t => {
    const { clock, client } = clientOf(t, [makeCluster('c', [])])
    const result = callUnary(client, 'x', { metadata: waiting(), deadline: clock.wallNow() + 3000 })
    await until(() => clock.pendingTimers > 0)
    await clock.advanceAsync(3100, 50)
    const { code, details } = await result
    assert.equal(code, grpc.status.DEADLINE_EXCEEDED)
    assert.match(details, /^cluster c: upstream request timeout .*no healthy upstream: it has no endpoints/)
  })

  test('can be cancelled', async t => {
    const { clock, client } = clientOf(t, [makeCluster('c', [])])
    const result = callUnary(client, 'x', { metadata: waiting() })
    await until(() => clock.pendingTimers > 0)
    result.call.cancel()
    assert.equal((await result).code, grpc.status.CANCELLED)
  })

  test('is dropped like any other (gRFC A32), and holds no place meanwhile', async t => {
    const backend = await startGrpcBackend(t)
    const circuitBreakers = { default: { ...defaultThresholds, maxRequests: 1, maxPendingRequests: 1 }, high: defaultThresholds }
    const { clock, source, client } = clientOf(t, [makeCluster('c', [], { circuitBreakers })])
    const waits = [callUnary(client, 'x', { metadata: waiting() }), callUnary(client, 'x', { metadata: waiting() })]
    await until(() => clock.pendingTimers > 1)
    for (const { call } of waits) call.cancel()
    assert.deepEqual(
      (await Promise.all(waits)).map(({ code }) => code),
      [grpc.status.CANCELLED, grpc.status.CANCELLED],
    )
    source.set({
      clusters: [
        makeCluster('c', [backend.address], {
          circuitBreakers: { ...circuitBreakers, default: { ...defaultThresholds, maxRequests: 0 } },
        }),
      ],
    })
    const { code, details } = await callUnary(client, 'x', { metadata: waiting() })
    assert.equal(code, grpc.status.UNAVAILABLE)
    assert.match(details, /too many requests/)
  })
})
