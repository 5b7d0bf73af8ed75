import assert from 'node:assert/strict'
import { once } from 'node:events'
import { constants, createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { suite, type TestContext, test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { grpcClientOn } from '../../../src/client/grpc/grpc-client.ts'
import { MeshChannel } from '../../../src/client/grpc/mesh-channel.ts'
import type { RetryCondition } from '../../../src/policies/retry.ts'
import { makeCluster, makeRetryPolicy, makeRoute, makeTarget, makeVirtualHost } from '../../support/fake-config-source.ts'
import { callUnary, EchoClient, type GrpcBackend, startGrpcBackend } from '../../support/grpc-backend.ts'
import { makeMesh } from '../../support/test-mesh.ts'

/** Calls a service of two, of which the first to be asked ends with the call in it. */
async function callKilled(t: TestContext, retryOn: readonly RetryCondition[]) {
  let kills = 0
  const start = async () => {
    const backend: GrpcBackend = await startGrpcBackend(t, () => {
      if (kills > 0) return false
      kills++
      backend.kill()
      return true
    })
    return backend
  }
  const backends = [await start(), await start()]
  const { plane, source } = makeMesh(t)
  const retryPolicy = makeRetryPolicy({ retryOn, numRetries: 1, backOff: { baseIntervalMs: 1, maxIntervalMs: 1 } })
  const addresses = backends.map(({ address }) => address)
  source.set({
    targets: { echo: makeTarget([makeVirtualHost([makeRoute('c', { retryPolicy })])]) },
    clusters: [makeCluster('c', addresses)],
  })
  const channel = (target: string) => new MeshChannel(plane, authority => plane.watch(authority, 'http'), target)
  const client = grpcClientOn({ channel }, EchoClient, 'xds:///echo', {})
  t.after(() => client.close())
  const { code } = await callUnary(client, 'x')
  return { code, attempts: backends.reduce((sum, { seen }) => sum + seen.length, 0) }
}

/** Calls a service whose only endpoint ends its connection with this code while the call is in it. */
async function callGone(t: TestContext, code: number) {
  const server = createServer()
  server.on('session', session => void session.on('error', () => {}))
  server.on('stream', stream => {
    stream.on('error', () => {})
    stream.session?.goaway(code, stream.id)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => void server.close())
  const { port } = server.address() as AddressInfo
  const { plane, source } = makeMesh(t)
  source.set({
    targets: { echo: makeTarget([makeVirtualHost([makeRoute('c')])]) },
    clusters: [makeCluster('c', [`127.0.0.1:${port}`])],
  })
  const channel = (target: string) => new MeshChannel(plane, authority => plane.watch(authority, 'http'), target)
  const client = grpcClientOn({ channel }, EchoClient, 'xds:///echo', {})
  t.after(() => client.close())
  return callUnary(client, 'x')
}

suite('a call whose endpoint ends (gRFC A6)', () => {
  test('is retried when its status is named, though no server sent it', async t => {
    assert.deepEqual(await callKilled(t, ['unavailable', 'cancelled']), { code: grpc.status.OK, attempts: 2 })
  })

  test('is not retried when another status is named', async t => {
    const { code, attempts } = await callKilled(t, ['resource-exhausted'])
    assert.notEqual(code, grpc.status.OK)
    assert.equal(attempts, 1)
  })

  test('is unavailable when its connection ends with an error', async t => {
    const { code, details } = await callGone(t, constants.NGHTTP2_INTERNAL_ERROR)
    assert.equal(code, grpc.status.UNAVAILABLE)
    assert.match(details, /Connection dropped: Session closed with error code 2/)
  })
})
