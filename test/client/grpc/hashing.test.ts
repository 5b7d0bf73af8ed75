import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { grpcClientOn } from '../../../src/client/grpc/grpc-client.ts'
import { MeshChannel } from '../../../src/client/grpc/mesh-channel.ts'
import type { HashPolicy } from '../../../src/policies/hash-policy.ts'
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

const byChannel: HashPolicy = { source: { kind: 'filter-state', key: 'io.grpc.channel_id' }, terminal: false }
const byUser: HashPolicy = { source: { kind: 'header', name: 'x-user', rewrite: undefined }, terminal: false }

/** Makes clients of a ring of endpoints, those of each priority in a list of their own. */
function ringOf(t: TestContext, priorities: readonly (readonly string[])[], policy: HashPolicy) {
  const { plane, source } = makeMesh(t, { random: seededRandom(7) })
  const cluster = makeCluster('c', [], { loadBalancing: { kind: 'ring-hash', minimumRingSize: 1024, maximumRingSize: 4096 } })
  assert.ok(cluster.kind === 'ready')
  const localities = priorities.map((addresses, priority) => ({ priority, endpoints: addresses.map(makeEndpoint) }))
  source.set({
    targets: { echo: makeTarget([makeVirtualHost([makeRoute('c', { hashPolicies: [policy] })])]) },
    clusters: [{ ...cluster, assignment: makeAssignment('c', localities) }],
  })
  const channel = (target: string) => new MeshChannel(plane, authority => plane.watch(authority, 'http'), target)
  return () => {
    const client = grpcClientOn({ channel }, EchoClient, 'xds:///echo', {})
    t.after(() => client.close())
    return client
  }
}

async function startMany(t: TestContext, count: number) {
  const backends = await Promise.all(Array.from({ length: count }, () => startGrpcBackend(t)))
  return { backends, addresses: backends.map(({ address }) => address) }
}

/** The endpoint that answers a user. */
async function endpointOf(client: EchoClient, ...users: readonly string[]): Promise<string> {
  const metadata = new grpc.Metadata()
  for (const user of users) metadata.add('x-user', user)
  const { code, details, peer } = await callUnary(client, 'x', { metadata })
  assert.deepEqual([code, details], [0, ''])
  return peer
}

suite('a ring (gRFC A42)', () => {
  test('keeps the calls of a channel on one endpoint by its id, and those of several channels on several', async t => {
    const { addresses } = await startMany(t, 3)
    const make = ringOf(t, [addresses], byChannel)
    const seen = new Set<string>()
    for (let number = 0; number < 20; number++) {
      const client = make()
      const { peer } = await callUnary(client, 'x')
      for (let call = 0; call < 5; call++) assert.equal((await callUnary(client, 'x')).peer, peer)
      seen.add(peer)
    }
    assert.equal(seen.size, 3)
  })

  test('hashes the values of a header as one', async t => {
    const { addresses } = await startMany(t, 3)
    const client = ringOf(t, [addresses], byUser)()
    for (let number = 0; number < 10; number++) {
      const [one, other] = [`user-${number}`, `friend-${number}`]
      assert.equal(await endpointOf(client, one, other), await endpointOf(client, `${one},${other}`))
    }
  })

  for (const [where, place] of [
    ['on the ring', (dead: readonly string[], alive: readonly string[]) => [[...dead, ...alive]]],
    ['of the next priority', (dead: readonly string[], alive: readonly string[]) => [dead, alive]],
  ] as const) {
    test(`keeps a caller on one endpoint ${where} also when its own cannot be reached`, async t => {
      const [dead, alive] = await Promise.all([startMany(t, 20), startMany(t, 2)])
      for (const { kill } of dead.backends) kill()
      const client = ringOf(t, place(dead.addresses, alive.addresses), byUser)()
      const users = Array.from({ length: 12 }, (_, index) => `user-${index}`)
      const first = new Map<string, string>()
      for (const user of users) first.set(user, await endpointOf(client, user))
      for (let round = 0; round < 5; round++) {
        for (const user of users) assert.equal(await endpointOf(client, user), first.get(user), user)
      }
      assert.equal(new Set(first.values()).size, 2)
    })
  }
})
