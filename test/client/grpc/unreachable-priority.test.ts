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
import { seededRandom } from '../../support/seeded-random.ts'
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

test('the next cluster of an aggregate serves who reaches nobody in those before it (gRFC A37)', async t => {
  const dead = await Promise.all([startGrpcBackend(t), startGrpcBackend(t)])
  const alive = await startGrpcBackend(t)
  for (const { kill } of dead) kill()
  const { plane, source, telemetry } = makeMesh(t)
  source.set({
    targets: { echo: makeTarget([makeVirtualHost([makeRoute('c')])]) },
    clusters: [
      makeCluster('c', [], { discovery: { kind: 'aggregate', clusters: ['empty', 'inner', 'alive'] } }),
      makeCluster('inner', [], { discovery: { kind: 'aggregate', clusters: ['dead'] } }),
      makeCluster('empty', []),
      makeCluster(
        'dead',
        dead.map(({ address }) => address),
      ),
      makeCluster('alive', [alive.address]),
    ],
  })
  const channel = (target: string) => new MeshChannel(plane, authority => plane.watch(authority, 'http'), target)
  const client = grpcClientOn({ channel }, EchoClient, 'xds:///echo', {})
  t.after(() => client.close())
  for (let call = 0; call < 3; call++) assert.equal((await callUnary(client, 'x')).code, 0)
  const { outcome, labels } = telemetry.finished.at(-1) ?? {}
  assert.deepEqual([outcome?.attempts, outcome?.clusterName, labels?.clusterName], [3, 'alive', 'alive'])
  alive.kill()
  const { code, details } = await callUnary(client, 'x')
  assert.equal(code, 14)
  assert.equal(telemetry.finished.at(-1)?.outcome.clusterName, 'alive')
  assert.match(details, new RegExp(`^cluster alive: endpoint ${alive.address}: .*ECONNREFUSED`))
})

test('pick first goes to the next of its list, always the same, when the first cannot be reached (gRFC A62)', async t => {
  const dead = await Promise.all([startGrpcBackend(t), startGrpcBackend(t)])
  const alive = await Promise.all([startGrpcBackend(t), startGrpcBackend(t), startGrpcBackend(t)])
  for (const { kill } of dead) kill()
  for (const shuffle of [false, true]) {
    const { plane, source } = makeMesh(t)
    const addresses = [...dead, ...alive].map(({ address }) => address)
    source.set({
      targets: { echo: makeTarget([makeVirtualHost([makeRoute('c')])]) },
      clusters: [makeCluster('c', addresses, { loadBalancing: { kind: 'pick-first', shuffle } })],
    })
    const channel = (target: string) => new MeshChannel(plane, authority => plane.watch(authority, 'http'), target)
    const client = grpcClientOn({ channel }, EchoClient, 'xds:///echo', {})
    t.after(() => client.close())
    const peers = new Set<string>()
    for (let call = 0; call < 20; call++) peers.add((await callUnary(client, 'x')).peer)
    assert.equal(peers.size, 1)
    if (!shuffle) assert.deepEqual([...peers], [alive[0]?.address])
  }
})

test('a call is dropped by chance once, however many endpoints it passes over (gRFC A27)', async t => {
  const dead = await Promise.all(Array.from({ length: 9 }, () => startGrpcBackend(t)))
  const alive = await startGrpcBackend(t)
  for (const { kill } of dead) kill()
  const { plane, source } = makeMesh(t, { random: seededRandom(7) })
  const cluster = makeCluster(
    'c',
    [...dead, alive].map(({ address }) => address),
  )
  assert.ok(cluster.kind === 'ready')
  const assignment = { ...cluster.assignment, dropOverloads: [{ category: 'half', probability: 0.5 }] }
  source.set({
    targets: { echo: makeTarget([makeVirtualHost([makeRoute('c')])]) },
    clusters: [{ ...cluster, assignment }],
  })
  const channel = (target: string) => new MeshChannel(plane, authority => plane.watch(authority, 'http'), target)
  const client = grpcClientOn({ channel }, EchoClient, 'xds:///echo', {})
  t.after(() => client.close())
  const results = []
  for (let call = 0; call < 100; call++) results.push(await callUnary(client, 'x'))
  const dropped = results.filter(({ details }) => details === 'cluster c: dropped by half').length
  assert.ok(dropped > 35 && dropped < 65, `${dropped} of 100`)
  assert.equal(results.filter(({ code }) => code === 0).length, 100 - dropped)
})
