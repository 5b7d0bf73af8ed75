import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type HostMonitor, type OutlierDetectionConfig, OutlierDetector } from '../../src/policies/outlier-detection.ts'
import { ManualClock } from '../support/manual-clock.ts'

const defaults: OutlierDetectionConfig = {
  consecutive5xx: 5,
  enforcingConsecutive5xx: 100,
  consecutiveGatewayFailure: 5,
  enforcingConsecutiveGatewayFailure: 0,
  splitExternalLocalOriginErrors: false,
  consecutiveLocalOriginFailure: 5,
  enforcingConsecutiveLocalOriginFailure: 100,
  successRateMinimumHosts: 5,
  successRateRequestVolume: 100,
  successRateStdevFactor: 1900,
  enforcingSuccessRate: 100,
  failurePercentageThreshold: 85,
  failurePercentageMinimumHosts: 5,
  failurePercentageRequestVolume: 50,
  enforcingFailurePercentage: 0,
  intervalMs: 10_000,
  baseEjectionTimeMs: 30_000,
  maxEjectionTimeMs: 300_000,
  maxEjectionTimeJitterMs: 0,
  maxEjectionPercent: 100,
  alwaysEjectOneHost: false,
}

function detector(hosts: number, change: Partial<OutlierDetectionConfig> = {}) {
  const clock = new ManualClock()
  const events: string[] = []
  const one = new OutlierDetector<number>({ ...defaults, ...change }, clock, () => 0, {
    eject: (host, reason) => events.push(`eject ${host} ${reason}`),
    uneject: host => events.push(`uneject ${host}`),
  })
  const monitors = Array.from({ length: hosts }, (_, host) => one.add(host))
  const monitor = (host: number): HostMonitor<number> => monitors[host] ?? assert.fail()
  return { detector: one, clock, events, monitor }
}

const times = (count: number, work: () => void) => {
  for (let i = 0; i < count; i++) work()
}

describe('consecutive failures', () => {
  test('ejects after five 5xx in a row and not after four', () => {
    const { monitor, events } = detector(2)
    times(4, () => monitor(0).reportResponse(500))
    assert.deepEqual(events, [])
    monitor(0).reportResponse(500)
    assert.deepEqual(events, ['eject 0 consecutive-5xx'])
  })

  test('a success begins the count anew', () => {
    const { monitor, events } = detector(2)
    times(4, () => monitor(0).reportResponse(503))
    monitor(0).reportResponse(200)
    times(4, () => monitor(0).reportResponse(503))
    assert.deepEqual(events, [])
  })

  test('a 500 ends a row of gateway failures', () => {
    const { monitor, events } = detector(2, { enforcingConsecutiveGatewayFailure: 100, consecutive5xx: 0 })
    times(4, () => monitor(0).reportResponse(502))
    monitor(0).reportResponse(500)
    times(4, () => monitor(0).reportResponse(504))
    assert.deepEqual(events, [])
    monitor(0).reportResponse(503)
    assert.deepEqual(events, ['eject 0 consecutive-gateway-failure'])
  })

  test('refused connections, resets and timeouts are gateway failures too', () => {
    const { monitor, events } = detector(2, { consecutiveGatewayFailure: 3, enforcingConsecutiveGatewayFailure: 100 })
    monitor(0).reportFailure('timeout')
    monitor(0).reportFailure('connect-failure')
    monitor(0).reportFailure('reset')
    assert.deepEqual(events, ['eject 0 consecutive-gateway-failure'])
  })

  test('refused connections, resets and timeouts count as 5xx', () => {
    const { monitor, events } = detector(2, { consecutive5xx: 3 })
    monitor(0).reportFailure('timeout')
    monitor(0).reportFailure('connect-failure')
    monitor(0).reportFailure('reset')
    assert.deepEqual(events, ['eject 0 consecutive-5xx'])
  })

  test('split errors are counted apart', () => {
    const { monitor, events } = detector(2, {
      splitExternalLocalOriginErrors: true,
      consecutive5xx: 2,
      consecutiveLocalOriginFailure: 3,
    })
    times(2, () => monitor(0).reportFailure('connect-failure'))
    assert.deepEqual(events, [])
    monitor(0).reportFailure('connect-failure')
    assert.deepEqual(events, ['eject 0 consecutive-local-origin-failure'])
  })

  test('0 % enforcing only watches', () => {
    const { monitor, events } = detector(2, { enforcingConsecutive5xx: 0 })
    times(20, () => monitor(0).reportResponse(500))
    assert.deepEqual(events, [])
  })
})

describe('the ejection limit', () => {
  for (const [percent, ejected] of [
    [10, 0],
    [33, 0],
    [34, 1],
    [66, 1],
    [67, 2],
    [100, 3],
  ] as const) {
    test(`${percent} % of three hosts is ${ejected}`, () => {
      const setup = detector(3, { maxEjectionPercent: percent })
      for (const host of [0, 1, 2]) times(5, () => setup.monitor(host).reportResponse(500))
      assert.equal(setup.detector.ejected, ejected)
    })
  }

  test('one host can always be ejected when it is asked for', () => {
    const setup = detector(3, { alwaysEjectOneHost: true, maxEjectionPercent: 10 })
    for (const host of [0, 1, 2]) times(5, () => setup.monitor(host).reportResponse(500))
    assert.equal(setup.detector.ejected, 1)
  })

  test('an ejected host that leaves makes room', () => {
    const setup = detector(3, { maxEjectionPercent: 34 })
    times(5, () => setup.monitor(0).reportResponse(500))
    setup.detector.remove(setup.monitor(0))
    assert.equal(setup.detector.ejected, 0)
  })
})

describe('coming back', () => {
  test('only a sweep brings a host back, after the base time', () => {
    const { monitor, events, clock, detector: one } = detector(2)
    times(5, () => monitor(0).reportResponse(500))
    clock.advance(29_999)
    one.sweep()
    assert.equal(monitor(0).isEjected, true)
    clock.advance(1)
    assert.equal(monitor(0).isEjected, true)
    one.sweep()
    assert.deepEqual(events, ['eject 0 consecutive-5xx', 'uneject 0'])
  })

  test('the second ejection in a row lasts twice as long, and a healthy interval takes one off', () => {
    const { monitor, clock, detector: one } = detector(2)
    times(5, () => monitor(0).reportResponse(500))
    clock.advance(30_000)
    one.sweep()
    times(5, () => monitor(0).reportResponse(500))
    clock.advance(59_000)
    one.sweep()
    assert.equal(monitor(0).isEjected, true)
    clock.advance(1000)
    one.sweep()
    assert.equal(monitor(0).isEjected, false)
    assert.equal(monitor(0).multiplier, 2)
    clock.advance(10_000)
    one.sweep()
    assert.equal(monitor(0).multiplier, 1)
  })

  test('the time grows no further than the maximum, and what was long bad comes down again in as many intervals', () => {
    const { monitor, clock, detector: one } = detector(2, { maxEjectionTimeMs: 90_000 })
    for (let ejection = 0; ejection < 20; ejection++) {
      times(5, () => monitor(0).reportResponse(500))
      clock.advance(90_000)
      one.sweep()
      assert.equal(monitor(0).isEjected, false)
    }
    assert.equal(monitor(0).multiplier, 4)
    times(4, () => {
      clock.advance(10_000)
      one.sweep()
    })
    assert.equal(monitor(0).multiplier, 0)
  })

  test('all counters begin anew', () => {
    const { monitor, clock, detector: one } = detector(2)
    times(4, () => monitor(0).reportResponse(502))
    times(1, () => monitor(0).reportResponse(500))
    clock.advance(30_000)
    one.sweep()
    assert.deepEqual([monitor(0).consecutive5xx, monitor(0).consecutiveGateway, monitor(0).consecutiveLocalOrigin], [0, 0, 0])
  })
})

test('never more hosts are ejected than the percentage allows, whatever is reported', () => {
  const report = fc.tuple(fc.nat(9), fc.constantFrom(200, 500, 503, 0))
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10 }),
      fc.nat(100),
      fc.boolean(),
      fc.array(report, { maxLength: 300 }),
      (hosts, percent, always, reports) => {
        const setup = detector(hosts, { maxEjectionPercent: percent, alwaysEjectOneHost: always, consecutive5xx: 2 })
        for (const [host, status] of reports) {
          if (status === 0) {
            setup.clock.advance(10_000)
            setup.detector.sweep()
          } else {
            setup.monitor(host % hosts).reportResponse(status)
          }
          const { ejected } = setup.detector
          assert.ok((100 * ejected) / hosts <= percent || (always && ejected === 1), `${ejected} of ${hosts}`)
          assert.equal(
            ejected,
            Array.from({ length: hosts }, (_, each) => setup.monitor(each)).filter(each => each.isEjected).length,
          )
        }
      },
    ),
    { seed: 13, numRuns: 200 },
  )
})

describe('rates', () => {
  test('a host far below the mean is ejected at the sweep', () => {
    const { monitor, events, detector: one } = detector(6)
    for (const host of [0, 1, 2, 3, 4]) times(100, () => monitor(host).reportResponse(200))
    times(100, () => {
      monitor(5).reportResponse(500)
      monitor(5).consecutive5xx = 0
    })
    one.sweep()
    assert.deepEqual(events, ['eject 5 success-rate'])
  })

  test('too few hosts with enough requests judge nobody', () => {
    const { monitor, events, detector: one } = detector(5)
    for (const host of [0, 1, 2, 3]) times(100, () => monitor(host).reportResponse(200))
    times(99, () => {
      monitor(4).reportResponse(500)
      monitor(4).consecutive5xx = 0
    })
    one.sweep()
    assert.deepEqual(events, [])
  })

  test('85 % failures are enough for the failure percentage', () => {
    const { monitor, events, detector: one } = detector(5, { enforcingSuccessRate: 0, enforcingFailurePercentage: 100 })
    for (const host of [0, 1, 2, 3]) times(100, () => monitor(host).reportResponse(200))
    times(85, () => {
      monitor(4).reportResponse(500)
      monitor(4).consecutive5xx = 0
    })
    times(15, () => monitor(4).reportResponse(200))
    one.sweep()
    assert.deepEqual(events, ['eject 4 failure-percentage'])
  })
})
