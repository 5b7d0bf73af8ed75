import assert from 'node:assert/strict'
import { test } from 'node:test'
import type * as grpc from '@grpc/grpc-js'
import { grpcClientOn } from '../../../src/client/grpc/grpc-client.ts'
import { MeshChannel } from '../../../src/client/grpc/mesh-channel.ts'
import { makeCluster, makeRetryPolicy, makeRoute, makeTarget, makeVirtualHost } from '../../support/fake-config-source.ts'
import { EchoClient, startGrpcBackend } from '../../support/grpc-backend.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { makeMesh } from '../../support/test-mesh.ts'
import { until } from '../../support/until.ts'

test('the time of a try runs from the last message of the client', async t => {
  const ended: number[] = []
  const backend = await startGrpcBackend(t, () => false, {
    clientStream(call, callback, number) {
      const chunks: Buffer[] = []
      call.on('data', chunk => chunks.push(chunk))
      call.on('end', () => {
        ended.push(number)
        if (number > 1) callback(null, Buffer.concat(chunks))
      })
      call.on('error', () => {})
      return true
    },
  })
  const clock = new ManualClock()
  const { plane, source, telemetry } = makeMesh(t, { clock })
  const retryPolicy = makeRetryPolicy({ retryOn: ['5xx'], perTryTimeoutMs: 500, numRetries: 1 })
  source.set({
    targets: { echo: makeTarget([makeVirtualHost([makeRoute('c', { retryPolicy })])]) },
    clusters: [makeCluster('c', [backend.address])],
  })
  const channel = (target: string) => new MeshChannel(plane, authority => plane.watch(authority, 'http'), target)
  const client = grpcClientOn({ channel }, EchoClient, 'xds:///echo', {})
  t.after(() => client.close())
  const { promise, resolve } = Promise.withResolvers<[grpc.ServiceError | null, Buffer | undefined]>()
  const call = client.ClientStream((error, reply) => resolve([error, reply]))
  call.write(Buffer.from('a'))
  await until(() => backend.seen.length === 1)
  await clock.advanceAsync(5000)
  call.end(Buffer.from('b'))
  await until(() => ended.length === 1)
  // The time of the first try, and the backoff.
  await clock.advanceAsync(600, 10)
  assert.deepEqual(await promise, [null, Buffer.from('ab')])
  assert.deepEqual(ended, [1, 2])
  assert.equal(telemetry.finished[0]?.outcome.attempts, 2)
})
