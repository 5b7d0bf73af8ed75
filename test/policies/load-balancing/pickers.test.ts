import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type BalancerOptions, balance } from '../../../src/policies/load-balancing/balancer.ts'
import type { LoadBalancingConfig } from '../../../src/policies/load-balancing/config.ts'
import { loadHash64, randomHash } from '../../../src/policies/load-balancing/hash64.ts'
import type { Host } from '../../../src/policies/load-balancing/host.ts'
import type { Picker } from '../../../src/policies/load-balancing/picker.ts'
import type { Random } from '../../../src/runtime.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { seededRandom } from '../../support/seeded-random.ts'
import { testHost } from './test-host.ts'

await loadHash64()

interface Case {
  readonly config: LoadBalancingConfig
  /** What weights mean to it. */
  readonly weights: 'kept' | 'ignored' | 'first-only'
}

/** Every balancer: whatever is true of a picker is tried with each of them. */
const cases: readonly Case[] = [
  { config: { kind: 'round-robin', slowStart: undefined }, weights: 'kept' },
  { config: { kind: 'random' }, weights: 'ignored' },
  { config: { kind: 'least-request', choiceCount: 2, activeRequestBias: 1, slowStart: undefined }, weights: 'kept' },
  { config: { kind: 'least-request', choiceCount: 5, activeRequestBias: 0, slowStart: undefined }, weights: 'kept' },
  { config: { kind: 'ring-hash', minimumRingSize: 16_384, maximumRingSize: 8_388_608 }, weights: 'kept' },
  { config: { kind: 'maglev', tableSize: 65_537 }, weights: 'kept' },
  { config: { kind: 'pick-first', shuffle: false }, weights: 'first-only' },
]

function pickerOf(config: LoadBalancingConfig, hosts: readonly Host[], seed: number, change: Partial<BalancerOptions> = {}) {
  return balance([{ localities: [{ weight: undefined, hosts }] }], {
    loadBalancing: config,
    common: { healthyPanicThreshold: 0, failTrafficOnPanic: false, localityWeighted: false },
    overprovisioningFactor: 140,
    random: seededRandom(seed),
    clock: new ManualClock(),
    ...change,
  })
}

/** Picks with a hash of its own each, as different users would have. */
function shares(picker: Picker<Host>, random: Random, picks = 6000): Record<string, number> {
  const counts: Record<string, number> = {}
  for (let i = 0; i < picks; i++) {
    const { name = 'nobody' } = picker.pick({ random, hash: randomHash(random(), random()) }, 0) ?? {}
    counts[name] = (counts[name] ?? 0) + 1 / picks
  }
  return counts
}

const near = (got: number | undefined, want: number, within = 0.04) =>
  assert.ok(Math.abs((got ?? 0) - want) < within, `${got} is not ${want}`)

for (const { config, weights } of cases) {
  describe(Object.values(config).filter(Boolean).join(' '), () => {
    test('picks nobody of nobody', () => {
      assert.equal(pickerOf(config, [], 1).pick({ random: seededRandom(1), hash: 7n }, 0), null)
    })

    test('gives one host everything, with a hash and without', () => {
      const picker = pickerOf(config, [testHost('a')], 2)
      for (const hash of [null, 0n, 1n << 63n, 2n ** 64n - 1n]) {
        for (const attempt of [0, 1, 5]) assert.equal(picker.pick({ random: seededRandom(2), hash }, attempt)?.name, 'a')
      }
    })

    test('spreads over equal hosts evenly', () => {
      const hosts = ['a', 'b', 'c', 'd'].map(name => testHost(name))
      const counts = shares(pickerOf(config, hosts, 3), seededRandom(3))
      for (const { name } of hosts) near(counts[name], weights === 'first-only' ? Number(name === 'a') : 1 / 4)
    })

    test('spreads over unequal hosts by weight', () => {
      const hosts = [testHost('a', { weight: 1 }), testHost('b', { weight: 2 }), testHost('c', { weight: 5 })]
      const counts = shares(pickerOf(config, hosts, 4), seededRandom(4))
      const expected = { kept: [1 / 8, 2 / 8, 5 / 8], ignored: [1 / 3, 1 / 3, 1 / 3], 'first-only': [1, 0, 0] }[weights]
      for (const [index, { name }] of hosts.entries()) near(counts[name], expected[index] ?? 0)
    })

    test('leaves out who is unhealthy, draining, timed out or ejected, and degraded hosts while there are enough healthy ones', () => {
      const hosts = [
        testHost('u', { health: 'unhealthy' }),
        testHost('d', { health: 'draining' }),
        testHost('t', { health: 'timeout' }),
        testHost('e', { ejected: true }),
        testHost('g', { health: 'degraded' }),
        ...['1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12', '13', '14'].map(name => testHost(name)),
        testHost('unknown', { health: 'unknown' }),
      ]
      const counts = shares(pickerOf(config, hosts, 5), seededRandom(5))
      for (const name of ['u', 'd', 't', 'e', 'g']) assert.equal(counts[name], undefined, name)
      if (weights !== 'first-only') assert.equal(Object.keys(counts).length, 15)
    })

    test('falls back to degraded hosts when there are no healthy ones', () => {
      const hosts = [testHost('u', { health: 'unhealthy' }), testHost('g', { health: 'degraded' })]
      assert.deepEqual(Object.keys(shares(pickerOf(config, hosts, 6), seededRandom(6), 20)), ['g'])
    })

    test('picks nobody when nobody is healthy and panic is off', () => {
      assert.deepEqual(Object.keys(shares(pickerOf(config, [testHost('u', { health: 'unhealthy' })], 7), seededRandom(7), 20)), [
        'nobody',
      ])
    })
  })
}

test('round robin takes every host once before any twice', () => {
  const hosts = ['a', 'b', 'c', 'd'].map(name => testHost(name))
  const picker = pickerOf({ kind: 'round-robin', slowStart: undefined }, hosts, 8)
  const context = { random: seededRandom(8), hash: null }
  for (let round = 0; round < 5; round++) {
    assert.deepEqual(hosts.map(() => picker.pick(context, 0)?.name).sort(), ['a', 'b', 'c', 'd'])
  }
})

test('round robin begins with another host in another client', () => {
  const hosts = ['a', 'b', 'c', 'd'].map(name => testHost(name))
  const firsts = new Set<string | undefined>()
  for (let seed = 0; seed < 40; seed++) {
    const picker = pickerOf({ kind: 'round-robin', slowStart: undefined }, hosts, seed)
    firsts.add(picker.pick({ random: seededRandom(seed), hash: null }, 0)?.name)
  }
  assert.equal(firsts.size, 4)
})

test('least request prefers the idle of two hosts', () => {
  const hosts = [testHost('busy', { activeRequests: 3 }), testHost('idle')]
  const picker = pickerOf({ kind: 'least-request', choiceCount: 2, activeRequestBias: 1, slowStart: undefined }, hosts, 9)
  assert.deepEqual(Object.keys(shares(picker, seededRandom(9), 50)), ['idle'])
})

test('least request by weight gives a busy host less, as the bias says', () => {
  const hosts = [testHost('light', { weight: 1 }), testHost('heavy', { weight: 4, activeRequests: 7 })]
  const heavyShare = (activeRequestBias: number) =>
    shares(
      pickerOf({ kind: 'least-request', choiceCount: 2, activeRequestBias, slowStart: undefined }, hosts, 10),
      seededRandom(10),
    ).heavy
  near(heavyShare(1), 1 / 3)
  near(heavyShare(0), 4 / 5)
  near(heavyShare(2), 1 / 17)
})
