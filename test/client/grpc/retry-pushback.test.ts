import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { grpcClientOn } from '../../../src/client/grpc/grpc-client.ts'
import { MeshChannel } from '../../../src/client/grpc/mesh-channel.ts'
import { makeCluster, makeRetryPolicy, makeRoute, makeTarget, makeVirtualHost } from '../../support/fake-config-source.ts'
import { callUnary, EchoClient, startGrpcBackend } from '../../support/grpc-backend.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { makeMesh } from '../../support/test-mesh.ts'
import { until } from '../../support/until.ts'

/** A client whose server refuses the first call with a pushback, on a clock of its own. */
async function refusedOnce(t: TestContext, pushback: string) {
  const backend = await startGrpcBackend(t, (_call, callback, number) => {
    if (number > 1) return false
    const metadata = new grpc.Metadata()
    metadata.set('grpc-retry-pushback-ms', pushback)
    callback({ code: grpc.status.UNAVAILABLE, details: 'not now', metadata })
    return true
  })
  const clock = new ManualClock()
  const { plane, source, telemetry } = makeMesh(t, { clock })
  telemetry.traced = true
  const retryPolicy = makeRetryPolicy({
    retryOn: ['unavailable'],
    numRetries: 1,
    backOff: { baseIntervalMs: 10, maxIntervalMs: 10 },
  })
  source.set({
    targets: { echo: makeTarget([makeVirtualHost([makeRoute('c', { retryPolicy })])]) },
    clusters: [makeCluster('c', [backend.address])],
  })
  const channel = (target: string) => new MeshChannel(plane, authority => plane.watch(authority, 'http'), target)
  const client = grpcClientOn({ channel }, EchoClient, 'xds:///echo', {})
  t.after(() => client.close())
  return { backend, clock, client, telemetry }
}

suite('grpc-retry-pushback-ms (gRFC A6)', () => {
  test('is waited, in place of the backoff', async t => {
    const { backend, clock, client, telemetry } = await refusedOnce(t, '2500')
    const result = callUnary(client, 'x')
    await until(() => telemetry.events.some(event => event.startsWith('retry 1')))
    await clock.advanceAsync(2499, 100)
    assert.equal(backend.seen.length, 1)
    clock.advance(1)
    assert.equal((await result).code, 0)
  })

  for (const value of ['-1', 'never', '', '99999999999']) {
    test(`of "${value}" forbids a retry`, async t => {
      const { backend, client } = await refusedOnce(t, value)
      assert.equal((await callUnary(client, 'x')).details, 'not now')
      assert.equal(backend.seen.length, 1)
    })
  }
})
