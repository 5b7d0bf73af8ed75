import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { grpcClientOn } from '../../../src/client/grpc/grpc-client.ts'
import { MeshChannel } from '../../../src/client/grpc/mesh-channel.ts'
import {
  makeAssignment,
  makeCluster,
  makeEndpoint,
  makeRoute,
  makeTarget,
  makeVirtualHost,
} from '../../support/fake-config-source.ts'
import { callUnary, EchoClient, startGrpcBackend } from '../../support/grpc-backend.ts'
import { makeMesh } from '../../support/test-mesh.ts'

const closed = [grpc.status.UNAVAILABLE, 'Channel closed before call started']

/** A client of a mesh that knows nothing yet. */
function clientOf(t: TestContext, options: Parameters<typeof makeMesh>[1] = {}) {
  const { plane, source } = makeMesh(t, options)
  const channel = (name: string) => new MeshChannel(plane, authority => plane.watch(authority, 'http'), name)
  const client = grpcClientOn({ channel }, EchoClient, 'xds:///echo', {})
  t.after(() => client.close())
  const channels = () =>
    [...plane.clusters.values()].flatMap(cluster =>
      [...cluster.endpoints()].flatMap(({ used }) => [...(used?.grpc?.channels() ?? [])]),
    )
  return { source, client, channels }
}
const target = makeTarget([makeVirtualHost([makeRoute('c')])])

suite('a channel that is closed', () => {
  test('ends a call that has no connection yet, which goes to no other endpoint', async t => {
    const backends = await Promise.all([startGrpcBackend(t), startGrpcBackend(t)])
    const { source, client, channels } = clientOf(t)
    source.set({
      targets: { echo: target },
      clusters: [
        makeCluster(
          'c',
          backends.map(({ address }) => address),
        ),
      ],
    })
    const result = callUnary(client, 'x')
    client.close()
    const { code, details } = await result
    assert.deepEqual([code, details], closed)
    assert.deepEqual(channels(), [])
  })

  test('ends a call that waits for its configuration, and none of other clients', async t => {
    const backend = await startGrpcBackend(t)
    const { plane, source } = makeMesh(t)
    const channel = (name: string) => new MeshChannel(plane, authority => plane.watch(authority, 'http'), name)
    const [one, other] = [0, 1].map(() => grpcClientOn({ channel }, EchoClient, 'xds:///echo', {}))
    assert.ok(one && other)
    t.after(() => other.close())
    const results = [callUnary(one, 'x'), callUnary(other, 'x')]
    one.close()
    const { code, details } = await (results[0] as Promise<{ code: number; details: string }>)
    assert.deepEqual([code, details], closed)
    source.set({ targets: { echo: target }, clusters: [makeCluster('c', [backend.address])] })
    assert.equal((await results[1])?.code, 0)
  })

  test('ends a call that waits for DNS', async t => {
    const { source, client } = clientOf(t, { lookup: () => new Promise(() => {}) })
    const assignment = makeAssignment('c', [{ endpoints: [makeEndpoint('somewhere.example:80')] }])
    const discovery = { kind: 'strict-dns', assignment, refreshRateMs: 5000 } as const
    source.set({ targets: { echo: target }, clusters: [makeCluster('c', [], { discovery })] })
    const result = callUnary(client, 'x')
    client.close()
    const { code, details } = await result
    assert.deepEqual([code, details], closed)
  })

  test('lets a call that is on a connection end', async t => {
    const arrived = Promise.withResolvers<() => void>()
    const backend = await startGrpcBackend(t, (call, callback) => {
      arrived.resolve(() => callback(null, call.request))
      return true
    })
    const { source, client } = clientOf(t)
    source.set({ targets: { echo: target }, clusters: [makeCluster('c', [backend.address])] })
    const result = callUnary(client, 'x')
    const answer = await arrived.promise
    client.close()
    answer()
    assert.equal((await result).code, 0)
  })

  test('below a call, as when its certificate is renewed while it connects, is not the end of it', async t => {
    const backend = await startGrpcBackend(t)
    const { plane, source } = makeMesh(t)
    source.set({ targets: { echo: target }, clusters: [makeCluster('c', [backend.address])] })
    const channel = new MeshChannel(plane, authority => plane.watch(authority, 'http'), 'xds:///echo')
    const client = grpcClientOn({ channel: () => channel }, EchoClient, 'xds:///echo', {})
    t.after(() => client.close())
    const results = [callUnary(client, 'x'), callUnary(client, 'x')]
    const [endpoint] = plane.clusters.handle('c').cluster?.endpoints() ?? []
    endpoint?.used?.grpc?.release(channel)
    for (const result of results) {
      const { code, details } = await result
      assert.deepEqual([code, details], [0, ''])
    }
    assert.equal(backend.seen.length, 2)
  })
})
