import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { EndpointChannels } from '../../../src/client/grpc/endpoint-channels.ts'
import { grpcClientOn } from '../../../src/client/grpc/grpc-client.ts'
import { MeshChannel } from '../../../src/client/grpc/mesh-channel.ts'
import { makeCluster, makeRetryPolicy, makeRoute, makeTarget, makeVirtualHost } from '../../support/fake-config-source.ts'
import { callUnary, EchoClient, startGrpcBackend } from '../../support/grpc-backend.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { makeMesh } from '../../support/test-mesh.ts'
import { until } from '../../support/until.ts'

test('a call keeps the cluster that it has chosen, for its retries too, when routes lead elsewhere meanwhile (gRFC A31)', async t => {
  const gone = Promise.withResolvers<void>()
  const [old, next] = await Promise.all([
    startGrpcBackend(t, (_call, callback, number) => {
      if (number > 2) return false
      void gone.promise.then(() => callback({ code: grpc.status.UNAVAILABLE, details: 'not now' }))
      return true
    }),
    startGrpcBackend(t),
  ])
  const clock = new ManualClock()
  const { plane, source } = makeMesh(t, { clock })
  const backOff = { baseIntervalMs: 10, maxIntervalMs: 10 }
  const retryPolicy = makeRetryPolicy({ retryOn: ['unavailable'], numRetries: 2, backOff })
  const leadTo = (cluster: string, address: string) => {
    const targets = new Map([['echo', makeTarget([makeVirtualHost([makeRoute(cluster, { retryPolicy })])])]])
    source.replace({ ...source.current, targets, clusters: new Map([[cluster, makeCluster(cluster, [address])]]) })
  }
  leadTo('old', old.address)
  const channel = (target: string) => new MeshChannel(plane, authority => plane.watch(authority, 'http'), target)
  const client = grpcClientOn({ channel }, EchoClient, 'xds:///echo', {})
  t.after(() => client.close())
  const result = callUnary(client, 'x')
  await until(() => old.seen.length === 1)
  const { used } = [...(plane.clusters.handle('old').cluster?.endpoints() ?? [])][0] ?? assert.fail('no endpoint')
  const channels = () => [...(used?.grpc?.channels() ?? [])]
  leadTo('next', next.address)
  await until(() => channels().length === 0)
  gone.resolve()
  let isOver = false
  void result.finally(() => {
    isOver = true
  })
  await until(
    () => isOver,
    () => clock.advanceAsync(1),
  )
  const { code, details } = await result
  assert.deepEqual([code, details], [grpc.status.OK, ''])
  assert.deepEqual([old.seen.length, next.seen.length], [3, 0])
  await until(() => channels().length === 0)
  assert.equal((await callUnary(client, 'x')).code, grpc.status.OK)
  assert.equal(next.seen.length, 1)
})

test('nothing begins beside the calls of an endpoint that has left', async t => {
  const backend = await startGrpcBackend(t)
  let begun = 0
  const beside = () => {
    begun++
    return { close() {} }
  }
  const channels = new EndpointChannels({ address: '127.0.0.1', port: backend.port, tls: undefined, beside })
  const profile = { options: {}, credentials: grpc.credentials.createInsecure(), channelId: '', isClosed: false }
  const callOn = (authority: string) =>
    callUnary(new EchoClient('server', profile.credentials, { channelOverride: channels.get(profile, authority) }), 'x')
  assert.equal((await callOn('before')).code, grpc.status.OK)
  assert.equal(begun, 1)
  channels.drain()
  await until(() => [...channels.channels()].length === 0)
  assert.equal((await callOn('after')).code, grpc.status.OK)
  await until(() => [...channels.channels()].length === 0)
  assert.equal(begun, 1)
})

test('a call that is being connected outlives a change of its cluster', async t => {
  const backend = await startGrpcBackend(t)
  const { plane, source, telemetry } = makeMesh(t)
  const configure = (connectTimeoutMs: number) =>
    source.set({
      targets: { echo: makeTarget([makeVirtualHost([makeRoute('c')])]) },
      clusters: [makeCluster('c', [backend.address], { connectTimeoutMs })],
    })
  configure(5000)
  const channel = (target: string) => new MeshChannel(plane, authority => plane.watch(authority, 'http'), target)
  const client = grpcClientOn({ channel }, EchoClient, 'xds:///echo', {})
  t.after(() => client.close())
  const result = callUnary(client, 'x')
  configure(6000)
  const { code, details } = await result
  assert.deepEqual([code, details], [grpc.status.OK, ''])
  assert.equal(telemetry.finished[0]?.outcome.attempts, 2)
})
