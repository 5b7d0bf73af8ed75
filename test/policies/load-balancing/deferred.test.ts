import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CompiledHashPolicy } from '../../../src/policies/hash-policy.ts'
import { balance } from '../../../src/policies/load-balancing/balancer.ts'
import { hash64, isHash64Loaded, loadHash64 } from '../../../src/policies/load-balancing/hash64.ts'
import { seededRandom } from '../../support/seeded-random.ts'
import { testHost } from './test-host.ts'

// The first thing in a process of its own: nothing is loaded yet.
test('consistent hashing is random until the hash function is there, and then it is consistent', async () => {
  assert.throws(() => hash64('a'), /before loadHash64/)
  const hosts = ['a', 'b', 'c', 'd'].map(name => testHost(name))
  const picker = balance([{ localities: [{ weight: undefined, hosts }] }], {
    loadBalancing: { kind: 'maglev', tableSize: 251 },
    common: { healthyPanicThreshold: 0, failTrafficOnPanic: false, localityWeighted: false },
    overprovisioningFactor: 140,
    random: seededRandom(1),
  })
  const policy = new CompiledHashPolicy([{ source: { kind: 'header', name: 'x', rewrite: undefined }, terminal: false }])
  const request = { path: '/', header: () => 'jason' }
  const random = seededRandom(2)
  const names = () => new Set(Array.from({ length: 50 }, () => picker.pick({ random, hash: 42n }, 0)?.name)).size
  assert.ok(!isHash64Loaded())
  assert.equal(names(), 4)
  assert.equal(policy.hash(request, random), null)
  await loadHash64()
  assert.equal(names(), 1)
  assert.equal(policy.hash(request, random), hash64('jason'))
})
