import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ClientSideWeightedRoundRobinPicker } from '../../../src/policies/load-balancing/client-side-weighted-round-robin.ts'
import type { ClientSideWeightedRoundRobin } from '../../../src/policies/load-balancing/config.ts'
import { HostWeight } from '../../../src/policies/load-balancing/host-weight.ts'
import type { LoadReport } from '../../../src/policies/load-report.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { testHost } from './test-host.ts'

const defaults: ClientSideWeightedRoundRobin = {
  kind: 'client-side-weighted-round-robin',
  oobReportingPeriodMs: 0,
  blackoutPeriodMs: 0,
  weightExpirationPeriodMs: 180_000,
  weightUpdatePeriodMs: 1000,
  errorUtilizationPenalty: 1,
  utilizationMetricNames: [],
}

function makeReport(change: Partial<LoadReport>): LoadReport {
  const none = new Map<string, number>()
  return {
    cpuUtilization: 0,
    memUtilization: 0,
    applicationUtilization: 0,
    rps: 100,
    eps: 0,
    utilization: none,
    requestCost: none,
    namedMetrics: none,
    ...change,
  }
}

function setUp(reports: readonly (Partial<LoadReport> | null)[], change: Partial<ClientSideWeightedRoundRobin> = {}) {
  const config = { ...defaults, ...change }
  const clock = new ManualClock()
  const hosts = reports.map((_, index) => testHost(`h${index}`, { reportedWeight: new HostWeight() }))
  const report = (all: readonly (Partial<LoadReport> | null)[]) => {
    for (const [index, each] of all.entries())
      if (each !== null) hosts[index]?.reportedWeight?.update(makeReport(each), config, clock.now())
  }
  report(reports)
  const picker = new ClientSideWeightedRoundRobinPicker(hosts, config, { clock, random: () => 0 })
  const shares = (picks: number) => {
    const counts = hosts.map(() => 0)
    for (let pick = 0; pick < picks; pick++) {
      const picked = picker.pick()
      assert.ok(picked !== null)
      const index = hosts.indexOf(picked)
      counts[index] = (counts[index] ?? 0) + 1
    }
    return counts
  }
  return { clock, shares, report }
}

describe('client-side weighted round robin (gRFC A58)', () => {
  const cases: readonly [string, readonly (Partial<LoadReport> | null)[], Partial<ClientSideWeightedRoundRobin>, number[]][] = [
    ['shares by requests per utilization', [{ cpuUtilization: 0.9 }, { cpuUtilization: 0.3 }], {}, [30, 90]],
    [
      'the application knows better than the CPU',
      [{ applicationUtilization: 0.2, cpuUtilization: 1 }, { cpuUtilization: 0.4 }],
      {},
      [80, 40],
    ],
    ['errors count as utilization', [{ cpuUtilization: 0.5, eps: 50 }, { cpuUtilization: 0.5 }], {}, [40, 80]],
    [
      'as much as configured',
      [{ cpuUtilization: 0.5, eps: 50 }, { cpuUtilization: 0.5 }],
      { errorUtilizationPenalty: 0 },
      [60, 60],
    ],
    [
      'the highest of the metrics named',
      [
        { utilization: new Map([['disk', 0.2]]), namedMetrics: new Map([['queue', 0.8]]), cpuUtilization: 0.1 },
        { namedMetrics: new Map([['queue', 0.4]]), cpuUtilization: 0.1 },
      ],
      { utilizationMetricNames: ['utilization.disk', 'named_metrics.queue'] },
      [40, 80],
    ],
    ['one without a report is as good as the mean', [{ cpuUtilization: 1 }, { cpuUtilization: 0.2 }, null], {}, [15, 75, 45]],
    ['with one report it is round robin', [{ cpuUtilization: 0.1 }, null, null], {}, [40, 40, 40]],
    ['one that says nothing is no report', [{ cpuUtilization: 0.1 }, { rps: 0, cpuUtilization: 1 }, {}], {}, [40, 40, 40]],
  ]
  for (const [name, reports, change, expected] of cases) {
    test(name, () => {
      const { shares } = setUp(reports, change)
      assert.deepEqual(shares(expected.reduce((sum, count) => sum + count, 0)), expected)
    })
  }

  test('weights are looked at once a period', () => {
    const { shares, report, clock } = setUp([{ cpuUtilization: 0.5 }, { cpuUtilization: 0.5 }])
    assert.deepEqual(shares(20), [10, 10])
    report([{ cpuUtilization: 0.1 }, null])
    clock.advance(999)
    assert.deepEqual(shares(20), [10, 10])
    clock.advance(1)
    assert.deepEqual(shares(60), [50, 10])
  })

  test('a report expires', () => {
    const { shares, report, clock } = setUp([{ cpuUtilization: 0.1 }, { cpuUtilization: 0.5 }])
    assert.deepEqual(shares(60), [50, 10])
    clock.advance(179_999)
    report([{ cpuUtilization: 0.1 }, null])
    assert.deepEqual(shares(60), [50, 10])
    clock.advance(1000)
    assert.deepEqual(shares(60), [30, 30])
  })

  test('the first reports are not believed, nor those after a gap', () => {
    const { shares, report, clock } = setUp([{ cpuUtilization: 0.1 }, { cpuUtilization: 0.5 }], { blackoutPeriodMs: 10_000 })
    const both = [{ cpuUtilization: 0.1 }, { cpuUtilization: 0.5 }]
    clock.advance(9999)
    assert.deepEqual(shares(60), [30, 30])
    clock.advance(1000)
    assert.deepEqual(shares(60), [50, 10])
    clock.advance(180_000)
    assert.deepEqual(shares(60), [30, 30])
    report(both)
    clock.advance(9999)
    assert.deepEqual(shares(60), [30, 30])
    clock.advance(1000)
    assert.deepEqual(shares(60), [50, 10])
  })
})
