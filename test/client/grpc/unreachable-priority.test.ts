import assert from 'node:assert/strict'
import { test } from 'node:test'
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

test('the second priority serves who reaches nobody in the first (gRFC A56)', async t => {
  const backends = await Promise.all([startGrpcBackend(t), startGrpcBackend(t), startGrpcBackend(t)])
  const [first, second, third] = backends
  assert.ok(first && second && third)
  first.kill()
  second.kill()
  const { plane, source } = makeMesh(t)
  const cluster = makeCluster('c', [])
  assert.ok(cluster.kind === 'ready')
  const assignment = makeAssignment('c', [
    { priority: 0, endpoints: [makeEndpoint(first.address), makeEndpoint(second.address)] },
    { priority: 1, endpoints: [makeEndpoint(third.address)] },
  ])
  source.set({
    targets: { echo: makeTarget([makeVirtualHost([makeRoute('c')])]) },
    clusters: [{ ...cluster, assignment }],
  })
  const channel = (target: string) => new MeshChannel(plane, authority => plane.watch(authority, 'http'), target)
  const client = grpcClientOn({ channel }, EchoClient, 'xds:///echo', {})
  t.after(() => client.close())
  for (let call = 0; call < 5; call++) assert.equal((await callUnary(client, 'x')).code, 0)
  third.kill()
  assert.equal((await callUnary(client, 'x')).code, 14)
})
