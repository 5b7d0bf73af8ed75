import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { leastRequest } from '../../../src/policies/load-balancing/least-request.ts'
import type { Picker } from '../../../src/policies/load-balancing/picker.ts'
import { RandomPicker } from '../../../src/policies/load-balancing/random.ts'
import { roundRobin } from '../../../src/policies/load-balancing/round-robin.ts'
import type { Random } from '../../../src/runtime.ts'
import { seededRandom } from '../../support/seeded-random.ts'

interface NamedHost {
  readonly name: string
  readonly weight: number
  activeRequests: number
}

const host = (name: string, weight = 1): NamedHost => ({ name, weight, activeRequests: 0 })

type Make = (hosts: readonly NamedHost[], random: Random) => Picker<NamedHost>

/** Every picker, and whether weights count for it. */
const pickers: readonly { readonly name: string; readonly make: Make; readonly weighted: boolean }[] = [
  { name: 'round robin', make: roundRobin, weighted: true },
  { name: 'random', make: hosts => new RandomPicker(hosts), weighted: false },
  {
    name: 'least request',
    make: (hosts, random) => leastRequest(hosts, { choiceCount: 2, activeRequestBias: 1 }, random),
    weighted: true,
  },
]

function shares(picker: Picker<NamedHost>, random: Random, picks = 6000): Record<string, number> {
  const counts: Record<string, number> = {}
  for (let i = 0; i < picks; i++) {
    const { name = 'nobody' } = picker.pick({ random, hash: null }, 0) ?? {}
    counts[name] = (counts[name] ?? 0) + 1 / picks
  }
  return counts
}

const close = (got: number | undefined, want: number) => assert.ok(Math.abs((got ?? 0) - want) < 0.03, `${got} is not ${want}`)

for (const { name, make, weighted } of pickers) {
  describe(name, () => {
    test('nobody to pick is null', () => {
      const random = seededRandom(1)
      assert.equal(make([], random).pick({ random, hash: null }, 0), null)
    })

    test('one host gets everything', () => {
      const random = seededRandom(2)
      assert.deepEqual(Object.keys(shares(make([host('a')], random), random, 10)), ['a'])
    })

    test('equal hosts get equal shares', () => {
      const random = seededRandom(3)
      const counts = shares(make([host('a'), host('b'), host('c')], random), random)
      for (const each of ['a', 'b', 'c']) close(counts[each], 1 / 3)
    })

    test(weighted ? 'weights are kept' : 'weights do not count', () => {
      const random = seededRandom(4)
      const counts = shares(make([host('a', 1), host('b', 2), host('c', 5)], random), random)
      close(counts.a, weighted ? 1 / 8 : 1 / 3)
      close(counts.c, weighted ? 5 / 8 : 1 / 3)
    })
  })
}

test('round robin takes every host once before any twice', () => {
  const random = seededRandom(5)
  const picker = roundRobin(
    ['a', 'b', 'c', 'd'].map(name => host(name)),
    random,
  )
  for (let round = 0; round < 5; round++) {
    const names = [0, 1, 2, 3].map(() => picker.pick({ random, hash: null }, 0)?.name).sort()
    assert.deepEqual(names, ['a', 'b', 'c', 'd'])
  }
})

test('least request prefers the idle of two hosts', () => {
  const random = seededRandom(6)
  const busy = host('busy')
  busy.activeRequests = 3
  const picker = leastRequest([busy, host('idle')], { choiceCount: 2, activeRequestBias: 1 }, random)
  for (let i = 0; i < 50; i++) assert.equal(picker.pick({ random, hash: null }, 0)?.name, 'idle')
})

test('least request by weight gives a busy host less', () => {
  const random = seededRandom(7)
  const [light, heavy] = [host('light', 1), host('heavy', 4)]
  heavy.activeRequests = 7
  const counts = shares(leastRequest([light, heavy], { choiceCount: 2, activeRequestBias: 1 }, random), random)
  close(counts.heavy, 1 / 3)
})
