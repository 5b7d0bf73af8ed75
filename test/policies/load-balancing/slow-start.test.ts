import assert from 'node:assert/strict'
import { test } from 'node:test'
import { balance } from '../../../src/policies/load-balancing/balancer.ts'
import { slowStartFactor } from '../../../src/policies/load-balancing/slow-start.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { seededRandom } from '../../support/seeded-random.ts'
import { testHost } from './test-host.ts'

const config = { windowMs: 60_000, aggression: 1, minWeightPercent: 10 }

test('the share grows with age from the minimum to all of it', () => {
  const factors = [0, 3000, 6000, 30_000, 59_999, 60_000, 1e9].map(ageMs => slowStartFactor(config, ageMs))
  assert.deepEqual(factors, [0.1, 0.1, 0.1, 0.5, 59_999 / 60_000, 1, 1])
})

test('aggression bends the curve, and an age under a second counts as one', () => {
  assert.equal(slowStartFactor({ ...config, aggression: 2 }, 15_000), 0.5)
  assert.equal(slowStartFactor({ ...config, minWeightPercent: 0 }, 0), 1 / 60)
})

for (const loadBalancing of [
  { kind: 'round-robin', slowStart: config },
  { kind: 'least-request', choiceCount: 2, activeRequestBias: 1, slowStart: config },
] as const) {
  test(`${loadBalancing.kind}: a new host gets little at first and its share in the end`, () => {
    const clock = new ManualClock()
    const hosts = [testHost('old'), testHost('new', { addedAt: 0 })]
    const picker = balance([{ localities: [{ weight: undefined, hosts }] }], {
      loadBalancing,
      common: { healthyPanicThreshold: 0, failTrafficOnPanic: false, localityWeighted: false },
      overprovisioningFactor: 140,
      random: seededRandom(1),
      clock,
    })
    const newShare = () => {
      let picked = 0
      for (let i = 0; i < 1100; i++) if (picker.pick({ random: seededRandom(i), hash: null }, 0)?.name === 'new') picked++
      return picked / 1100
    }
    assert.ok(Math.abs(newShare() - 1 / 11) < 0.01)
    clock.advance(60_000)
    assert.ok(Math.abs(newShare() - 1 / 2) < 0.02)
  })
}
