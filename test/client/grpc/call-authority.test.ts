import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { grpcClientOn } from '../../../src/client/grpc/grpc-client.ts'
import { MeshChannel, type MeshChannelOptions } from '../../../src/client/grpc/mesh-channel.ts'
import type { ForwardAction } from '../../../src/discovery/model/route.ts'
import { makeCluster, makeEndpoint, makeRoute, makeTarget, makeVirtualHost } from '../../support/fake-config-source.ts'
import { callUnary, EchoClient, startGrpcBackend } from '../../support/grpc-backend.ts'
import { makeMesh } from '../../support/test-mesh.ts'

/** A client of `echo`, whose routes know one domain, and what the only endpoint of it sees. */
async function clientOf(t: TestContext, domain: string, action: Partial<ForwardAction> = {}, options = {}) {
  const { seen, address } = await startGrpcBackend(t)
  const { plane, source } = makeMesh(t)
  source.set({
    targets: { echo: makeTarget([makeVirtualHost([makeRoute('c', action)], { domains: [domain] })]) },
    clusters: [makeCluster('c', [{ ...makeEndpoint(address), hostname: 'endpoint.example' }])],
  })
  const channel = (target: string, given?: MeshChannelOptions) =>
    new MeshChannel(plane, authority => plane.watch(authority, 'http'), target, given)
  const client = grpcClientOn({ channel }, EchoClient, 'xds:///echo', options)
  t.after(() => client.close())
  return { seen, client }
}

suite('the authority of a call', () => {
  test('is its own where it names one, and it is routed by that of its channel all the same (gRFC A28)', async t => {
    const { seen, client } = await clientOf(t, 'echo')
    for (const host of ['other.example', '']) assert.equal((await callUnary(client, 'x', { host })).code, 0)
    assert.deepEqual(
      seen.map(({ authority }) => authority),
      ['other.example', 'echo'],
    )
  })

  test('is not rewritten where it names one (gRFC A81)', async t => {
    for (const hostRewrite of [{ kind: 'auto' }, { kind: 'literal', value: 'endpoint.example' }] as const) {
      const { seen, client } = await clientOf(t, '*', { hostRewrite })
      assert.equal((await callUnary(client, 'x')).code, 0)
      assert.equal((await callUnary(client, 'x', { host: 'other.example' })).code, 0)
      assert.deepEqual(
        seen.map(({ authority }) => authority),
        ['endpoint.example', 'other.example'],
      )
    }
  })

  test('is the default one of the channel, by which calls are also routed', async t => {
    const { seen, client } = await clientOf(t, 'mine.example', {}, { 'grpc.default_authority': 'mine.example' })
    const { code, details } = await callUnary(client, 'x')
    assert.deepEqual([code, details], [0, ''])
    assert.deepEqual(
      seen.map(({ authority }) => authority),
      ['mine.example'],
    )
  })
})
