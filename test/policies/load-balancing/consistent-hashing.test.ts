import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { balance } from '../../../src/policies/load-balancing/balancer.ts'
import { hash64, loadHash64, randomHash } from '../../../src/policies/load-balancing/hash64.ts'
import { MaglevPicker } from '../../../src/policies/load-balancing/maglev.ts'
import type { Picker } from '../../../src/policies/load-balancing/picker.ts'
import { RingHashPicker } from '../../../src/policies/load-balancing/ring-hash.ts'
import { weighHosts } from '../../../src/policies/load-balancing/weighted-hosts.ts'
import { scriptedRandom, seededRandom } from '../../support/seeded-random.ts'
import { testHost } from './test-host.ts'

await loadHash64()

type TestHost = ReturnType<typeof testHost>

const ports = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => testHost(`127.0.0.1:${from + index}`))
const weighted = (hosts: readonly TestHost[]) => weighHosts([{ weight: undefined, hosts }], false)
const pickPort = (picker: Picker<TestHost>, hash: bigint, attempt = 0) =>
  picker.pick({ random: seededRandom(1), hash }, attempt)?.name.slice(-2)

test('XXH64 with and without a seed is the published one', () => {
  assert.equal(hash64(''), 0xef46db3751d8e999n)
  assert.equal(hash64('a'), 0xd24ec4f1a98c6e5bn)
  assert.notEqual(hash64('a', 1n), hash64('a'))
})

test('a random hash fills 64 bits', () => {
  assert.equal(randomHash(0, 0), 0n)
  assert.equal(randomHash(1 - 2 ** -53, 1 - 2 ** -53), 2n ** 64n - 1n)
})

describe('ring hash', () => {
  const six = () => new RingHashPicker(weighted(ports(90, 95)), { minimumRingSize: 12, maximumRingSize: 8_388_608 })

  test('builds the ring that Envoy builds', () => {
    // The positions that the ring hash tests of Envoy list for these six hosts.
    const ring: readonly (readonly [string, bigint])[] = [
      ['94', 833437586790550860n],
      ['92', 928266305478181108n],
      ['90', 1033482794131418490n],
      ['95', 3551244743356806947n],
      ['93', 3851675632748031481n],
      ['91', 5583722120771150861n],
      ['91', 6311230543546372928n],
      ['93', 7700377290971790572n],
      ['95', 13144177310400110813n],
      ['92', 13444792449719432967n],
      ['94', 15516499411664133160n],
      ['90', 16117243373044804889n],
    ]
    const picker = six()
    assert.equal(picker.size, 12)
    for (const [index, [port, hash]] of ring.entries()) {
      assert.equal(pickPort(picker, hash), port)
      assert.equal(pickPort(picker, hash + 1n), ring[(index + 1) % ring.length]?.[0])
    }
    assert.equal(pickPort(picker, 0n), '94')
    assert.equal(pickPort(picker, 2n ** 64n - 1n), '94')
  })

  test('another attempt goes on along the ring', () => {
    assert.deepEqual(
      [0, 1, 2, 3].map(attempt => pickPort(six(), 0n, attempt)),
      ['94', '92', '90', '95'],
    )
  })

  test('a request without a hash is placed at random', () => {
    const random = scriptedRandom(
      Number(16117243373044804880n >> 32n) / 2 ** 32,
      Number(16117243373044804880n & 0xffffffffn) / 2 ** 32,
    )
    assert.equal(six().pick({ random, hash: null }, 0)?.name, '127.0.0.1:90')
  })

  test('entries follow the weights, the smallest share getting its ceiling', () => {
    const hosts = [testHost('a', { weight: 1 }), testHost('b', { weight: 2 })]
    const picker = (minimumRingSize: number, maximumRingSize: number) =>
      new RingHashPicker(weighted(hosts), { minimumRingSize, maximumRingSize }).size
    assert.deepEqual([picker(1, 1024), picker(3, 1024), picker(4, 1024), picker(1024, 1024), picker(1, 2)], [3, 3, 6, 1024, 2])
  })

  test('hash_key metadata replaces the address', () => {
    const size = { minimumRingSize: 64, maximumRingSize: 64 }
    const keyed = new RingHashPicker(weighted([testHost('x', { metadata: { hash_key: 'a' } }), testHost('b')]), size)
    const named = new RingHashPicker(weighted([testHost('a'), testHost('b')]), size)
    for (let i = 0n; i < 100n; i++) {
      const hash = i * 184467440737095516n
      assert.equal(pickPort(keyed, hash)?.replace('x', 'a'), pickPort(named, hash))
    }
  })
})

describe('Maglev', () => {
  test('fills the table that Envoy fills', () => {
    // The assignments that the Maglev tests of Envoy list for these six hosts and a table of seven.
    const picker = new MaglevPicker(weighted(ports(90, 95)), 7)
    const expected = ['92', '94', '90', '91', '95', '90', '93']
    for (let hash = 0n; hash < 21n; hash++) assert.equal(pickPort(picker, hash), expected[Number(hash % 7n)])
  })

  test('another attempt goes far away', () => {
    const picker = new MaglevPicker(weighted(ports(10, 59)), 65_537)
    const picked = new Set([0, 1, 2, 3, 4].map(attempt => pickPort(picker, 42n, attempt)))
    assert.ok(picked.size >= 4, `${picked.size}`)
  })

  test('does not depend on the order of the hosts', () => {
    const hosts = ports(10, 30)
    const [one, other] = [hosts, hosts.toReversed()].map(each => new MaglevPicker(weighted(each), 65_537))
    for (let hash = 0n; hash < 500n; hash++) {
      assert.equal(one && pickPort(one, hash * 7919n), other && pickPort(other, hash * 7919n))
    }
  })
})

for (const [name, make] of [
  [
    'ring hash',
    (hosts: readonly TestHost[]) => new RingHashPicker(weighted(hosts), { minimumRingSize: 4096, maximumRingSize: 8192 }),
  ],
  ['Maglev', (hosts: readonly TestHost[]) => new MaglevPicker(weighted(hosts), 65_537)],
] as const) {
  test(`${name}: when a host leaves, few others lose requests`, () => {
    const hosts = ports(10, 29)
    const [before, after] = [make(hosts), make(hosts.slice(1))]
    const random = seededRandom(4)
    let moved = 0
    for (let i = 0; i < 2000; i++) {
      const hash = randomHash(random(), random())
      const port = pickPort(before, hash)
      if (port !== '10' && pickPort(after, hash) !== port) moved++
    }
    assert.ok(moved < 2000 * 0.08, `${moved} moved`)
  })
}

test('shares sum to one, by locality weight where it counts', () => {
  const locality = fc.record({
    weight: fc.option(fc.integer({ min: 1, max: 100 }), { nil: undefined }),
    hosts: fc.array(
      fc.integer({ min: 1, max: 1000 }).map(weight => testHost('h', { weight })),
      { maxLength: 6 },
    ),
  })
  fc.assert(
    fc.property(fc.array(locality, { maxLength: 5 }), fc.boolean(), (localities, byLocality) => {
      const { hosts, shares } = weighHosts(localities, byLocality)
      assert.equal(hosts.length, shares.length)
      const sum = shares.reduce((all, share) => all + share, 0)
      assert.ok(hosts.length === 0 ? sum === 0 : Math.abs(sum - 1) < 1e-9, `${sum}`)
    }),
    { seed: 6 },
  )
})

test('the hash chooses the priority too, so that a request stays where it was', () => {
  const half = (name: string) => ({
    localities: [{ weight: undefined, hosts: [testHost(`${name}1`), testHost(`${name}2`, { health: 'unhealthy' })] }],
  })
  const picker = balance([half('p'), half('q')], {
    loadBalancing: { kind: 'ring-hash', minimumRingSize: 64, maximumRingSize: 64 },
    common: { healthyPanicThreshold: 0, failTrafficOnPanic: false, localityWeighted: false },
    overprovisioningFactor: 140,
    random: seededRandom(7),
  })
  for (let i = 0; i < 20; i++) {
    assert.equal(picker.pick({ random: seededRandom(i), hash: 69n }, 0)?.name, 'p1')
    assert.equal(picker.pick({ random: seededRandom(i), hash: 70n }, 0)?.name, 'q1')
  }
})
