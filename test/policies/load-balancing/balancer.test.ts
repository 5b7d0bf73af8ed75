import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type BalancerOptions, balance } from '../../../src/policies/load-balancing/balancer.ts'
import type { Host } from '../../../src/policies/load-balancing/host.ts'
import { priorityLoad } from '../../../src/policies/load-balancing/priority-load.ts'
import { seededRandom } from '../../support/seeded-random.ts'
import { testHost } from './test-host.ts'

/** Health in percent by priority, of 100 hosts each. */
const loads = (...healthy: readonly number[]) =>
  priorityLoad(
    healthy.map(each => ({ total: 100, healthy: each, degraded: 0 })),
    140,
    50,
  )

describe('load over priorities, after the table in the documentation of Envoy', () => {
  for (const [healthy, expected] of [
    [
      [100, 100],
      [100, 0],
    ],
    [
      [72, 72],
      [100, 0],
    ],
    [
      [71, 71],
      [99, 1],
    ],
    [
      [50, 50],
      [70, 30],
    ],
    [
      [25, 100],
      [35, 65],
    ],
    [
      [25, 25],
      [50, 50],
    ],
    [
      [0, 100],
      [0, 100],
    ],
  ] as const) {
    test(`${healthy.join(' and ')} % healthy get ${expected.join(' and ')} %`, () =>
      assert.deepEqual(loads(...healthy).healthy, expected))
  }

  test('a priority panics only while all together cannot take everything', () => {
    assert.deepEqual(loads(40, 100).panic, [false, false])
    assert.deepEqual(loads(40, 10).panic, [true, true])
    assert.deepEqual(priorityLoad([{ total: 100, healthy: 0, degraded: 0 }], 140, 0).panic, [false])
  })
})

describe('load over priorities, where it is easy to get wrong', () => {
  test('degraded hosts take what healthy ones cannot, and what rounding loses goes to the first healthy priority', () => {
    // The example in the comments of Envoy's balancer.
    const health = [
      { total: 1400, healthy: 100, degraded: 200 },
      { total: 1400, healthy: 200, degraded: 100 },
      { total: 1400, healthy: 100, degraded: 0 },
    ]
    const { healthy, degraded } = priorityLoad(health, 140, 0)
    assert.deepEqual(
      [healthy, degraded],
      [
        [16, 28, 14],
        [28, 14, 0],
      ],
    )
  })

  test('hosts that round to nothing are used where there is no panic', () => {
    const none = { total: 1000, healthy: 0, degraded: 0 }
    const few = (part: object) => priorityLoad([none, { ...none, ...part }, none], 140, 0)
    assert.deepEqual(
      [few({ healthy: 1, degraded: 1 }).healthy, few({ healthy: 1 }).degraded],
      [
        [0, 100, 0],
        [0, 0, 0],
      ],
    )
    assert.deepEqual(
      [few({ degraded: 1 }).degraded, few({ degraded: 1 }).healthy],
      [
        [0, 100, 0],
        [0, 0, 0],
      ],
    )
    assert.deepEqual(
      [few({}).healthy, few({}).degraded],
      [
        [0, 0, 0],
        [0, 0, 0],
      ],
    )
  })

  test('when every priority panics the number of hosts decides', () => {
    const health = [
      { total: 1, healthy: 0, degraded: 0 },
      { total: 2, healthy: 0, degraded: 0 },
      { total: 0, healthy: 0, degraded: 0 },
    ]
    assert.deepEqual(priorityLoad(health, 140, 50).healthy, [34, 66, 0])
  })

  test('shares are whole percents that sum to 100 whatever the health', () => {
    const priority = fc
      .tuple(fc.nat(30), fc.nat(30), fc.nat(30))
      .map(([healthy, degraded, other]) => ({ total: healthy + degraded + other, healthy, degraded }))
    fc.assert(
      fc.property(fc.array(priority, { minLength: 1, maxLength: 4 }), fc.nat(100), (priorities, threshold) => {
        const { healthy, degraded } = priorityLoad(priorities, 140, threshold)
        const sum = [...healthy, ...degraded].reduce((all, each) => all + each, 0)
        const isAnyoneThere = priorities.some(each => each.healthy + each.degraded > 0)
        assert.ok(sum === 100 || (sum === 0 && !isAnyoneThere), `${sum}`)
        assert.ok([...healthy, ...degraded].every(each => Number.isInteger(each) && each >= 0))
      }),
      { numRuns: 500, seed: 3 },
    )
  })
})

const host = (name: string, isHealthy = true): Host => testHost(name, { health: isHealthy ? 'healthy' : 'unhealthy' })
const options = (change: Partial<BalancerOptions['common']> = {}): BalancerOptions => ({
  loadBalancing: { kind: 'round-robin', slowStart: undefined },
  common: { healthyPanicThreshold: 50, failTrafficOnPanic: false, localityWeighted: false, ...change },
  overprovisioningFactor: 140,
  random: seededRandom(1),
})
const locality = (weight: number | undefined, ...hosts: readonly Host[]) => ({ weight, hosts })

function picked(picker: ReturnType<typeof balance<Host>>, picks = 1000): Record<string, number> {
  const random = seededRandom(9)
  const counts: Record<string, number> = {}
  for (let i = 0; i < picks; i++) {
    const { name = 'nobody' } = picker.pick({ random, hash: null }, 0) ?? {}
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

describe('balance', () => {
  test('an unusable host gets nothing', () => {
    const picker = balance([{ localities: [locality(undefined, host('a'), host('b'), host('c', false))] }], options())
    assert.deepEqual(Object.keys(picked(picker)).sort(), ['a', 'b'])
  })

  test('in panic everybody is tried', () => {
    const hosts = [host('a'), host('b', false), host('c', false)]
    const picker = balance([{ localities: [locality(undefined, ...hosts)] }], options())
    assert.deepEqual(Object.keys(picked(picker)).sort(), ['a', 'b', 'c'])
  })

  test('without panic nobody is picked when nobody is healthy', () => {
    const picker = balance([{ localities: [locality(undefined, host('a', false))] }], options({ healthyPanicThreshold: 0 }))
    assert.deepEqual(picked(picker), { nobody: 1000 })
  })

  test('traffic can be made to fail in panic', () => {
    const picker = balance([{ localities: [locality(undefined, host('a', false))] }], options({ failTrafficOnPanic: true }))
    assert.deepEqual(picked(picker), { nobody: 1000 })
  })

  test('the next priority takes what the first cannot', () => {
    const first = { localities: [locality(undefined, host('a'), host('b', false))] }
    const picker = balance([first, { localities: [locality(undefined, host('z'))] }], options())
    const { a = 0, z = 0 } = picked(picker)
    assert.ok(Math.abs(a - 700) < 50 && Math.abs(z - 300) < 50, `${a} and ${z}`)
  })

  test('locality weights count when they are asked for, and no weight is no traffic', () => {
    const localities = [locality(3, host('a')), locality(1, host('b')), locality(undefined, host('c'))]
    assert.deepEqual(picked(balance([{ localities }], options({ localityWeighted: true }))), { a: 750, b: 250 })
    assert.deepEqual(Object.keys(picked(balance([{ localities }], options()))).sort(), ['a', 'b', 'c'])
  })
})
