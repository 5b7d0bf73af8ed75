import assert from 'node:assert/strict'
import { once } from 'node:events'
import { constants, createServer, type ServerHttp2Stream } from 'node:http2'
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

/** Calls a service whose only endpoint does this with every stream. */
async function callOdd(t: TestContext, answer: (stream: ServerHttp2Stream) => void, retryOn: readonly RetryCondition[] = []) {
  const server = createServer()
  let attempts = 0
  server.on('session', session => void session.on('error', () => {}))
  server.on('stream', stream => {
    stream.on('error', () => {})
    attempts++
    answer(stream)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => void server.close())
  const { port } = server.address() as AddressInfo
  const { plane, source } = makeMesh(t)
  const retryPolicy = makeRetryPolicy({ retryOn, numRetries: 1, backOff: { baseIntervalMs: 1, maxIntervalMs: 1 } })
  source.set({
    targets: { echo: makeTarget([makeVirtualHost([makeRoute('c', { retryPolicy })])]) },
    clusters: [makeCluster('c', [`127.0.0.1:${port}`])],
  })
  const channel = (target: string) => new MeshChannel(plane, authority => plane.watch(authority, 'http'), target)
  const client = grpcClientOn({ channel }, EchoClient, 'xds:///echo', {})
  t.after(() => client.close())
  return { ...(await callUnary(client, 'x')), attempts }
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
    const { code, details } = await callOdd(t, stream => void stream.session?.goaway(constants.NGHTTP2_INTERNAL_ERROR, stream.id))
    assert.equal(code, grpc.status.UNAVAILABLE)
    assert.match(details, /Connection dropped: Session closed with error code 2/)
  })

  for (const [name, code] of [
    ['NGHTTP2_INTERNAL_ERROR', grpc.status.INTERNAL],
    ['NGHTTP2_ENHANCE_YOUR_CALM', grpc.status.RESOURCE_EXHAUSTED],
    ['NGHTTP2_INADEQUATE_SECURITY', grpc.status.PERMISSION_DENIED],
  ] as const) {
    test(`is reset, and has the status of it, when its stream is: ${name}`, async t => {
      const { attempts, ...result } = await callOdd(t, stream => stream.close(constants[name]), ['reset'])
      assert.deepEqual([attempts, result.code], [2, code])
    })
  }
})

suite('an answer that is not of gRPC', () => {
  const badGateway = (stream: ServerHttp2Stream) => {
    stream.respond({ ':status': 503, 'content-type': 'text/html' })
    stream.end('<html>')
  }

  test('is retried by the status that its HTTP status stands for', async t => {
    const { attempts, code, details } = await callOdd(t, badGateway, ['unavailable'])
    assert.deepEqual([attempts, code, details], [2, grpc.status.UNAVAILABLE, 'Received HTTP status code 503'])
  })

  test("is not retried when another status is named, and its headers are the caller's", async t => {
    const { attempts, code, initial } = await callOdd(t, badGateway, ['cancelled'])
    assert.deepEqual([attempts, code, initial?.get('content-type')], [1, grpc.status.UNAVAILABLE, ['text/html']])
  })

  test('is one of gRPC all the same when it has a message', async t => {
    const { code, reply } = await callOdd(
      t,
      stream => {
        stream.respond({ ':status': 200 }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
        stream.end(Buffer.from([0, 0, 0, 0, 1, 65]))
      },
      ['unavailable'],
    )
    assert.deepEqual([code, String(reply)], [grpc.status.OK, 'A'])
  })
})
